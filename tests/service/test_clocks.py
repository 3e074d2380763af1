"""Workers judge each other without comparing clocks; only time under a living worker counts."""

import shutil
import signal
import time

import pytest

from service.db.tables import Worker
from service.ids import DEFAULT_PROJECT
from service.runtime import job_queries
from service.runtime.clock import LivingClock, Watch
from tests.service.conftest import wait_for
from tests.service.test_worker import begun, executions, folder, wait_until  # noqa: F401

pytestmark = pytest.mark.timeout(600)


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def test_a_suspended_process_counts_no_time():
    clock = Clock()
    living = LivingClock(2.0, clock)
    for _ in range(10):
        clock.now += 1.0
        living.read()
    clock.now += 3600.0
    assert living.read() == 12.0
    clock.now -= 50.0  # no clock of a system is trusted to go forward only
    assert living.read() == 12.0


def test_a_worker_is_silent_when_its_heartbeats_stop_whatever_its_clock_says():
    clock = Clock()
    watch = Watch(5.0, 2.0, clock)
    for beat in range(10):
        clock.now += 1.0
        silent = watch.look({"alive": beat, "dead": 7})
        assert silent == ({"dead"} if beat >= 5 else set())
    # This process was suspended: what the others did meanwhile is not known yet.
    clock.now += 3600.0
    assert watch.look({"alive": 9}) == set()
    watch.forget()
    assert watch.look({"dead": 7}) == set()


def start_counting(database, folder, steps=2):  # noqa: F811
    with database.write() as session:
        params = {"steps": steps, "folder": str(folder)}
        job = job_queries.create_job(session, DEFAULT_PROJECT, "count", params)
    return job.id


def states(database):
    with database.read() as session:
        return sorted(worker.state for worker in session.query(Worker))


@pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime is not installed")
@pytest.mark.parametrize("offset", ["+45s", "-45s"])
def test_workers_with_other_clocks_leave_each_other_alone(database, settings, workers, folder, offset):  # noqa: F811
    job = start_counting(database, folder)
    first = workers.start()
    wait_until(lambda: begun(folder)[0] == [0, 1])
    other = workers.start(under=("faketime", "--exclude-monotonic", "-f", offset))
    wait_until(lambda: states(database) == ["alive", "alive"])
    time.sleep(1.5 * settings.worker_timeout_s)
    (folder / "1").touch()
    assert wait_for(database, job).state == "succeeded"
    assert states(database) == ["alive", "alive"] and first.poll() is None and other.poll() is None
    assert executions(database, job) == [("count 0", 1, True), ("count 1", 1, True)]


def test_a_suspended_worker_loses_its_jobs_and_stops_when_it_continues(database, workers, folder):  # noqa: F811
    job = start_counting(database, folder)
    first = workers.start()
    wait_until(lambda: begun(folder)[0] == [0, 1])
    first.send_signal(signal.SIGSTOP)
    workers.start()
    wait_until(lambda: begun(folder)[0] == [0, 1, 1])
    (folder / "1").touch()
    first.send_signal(signal.SIGCONT)
    assert first.wait(60) == 70
    assert wait_for(database, job).state == "succeeded"
    assert executions(database, job) == [
        ("count 0", 1, True),
        ("count 1", 1, False),
        ("count 1", 2, True),
    ]


def test_time_without_a_worker_is_not_spent(database, workers, folder):  # noqa: F811
    job = start_counting(database, folder)
    first = workers.start()
    wait_until(lambda: begun(folder)[0] == [0, 1])
    first.kill()
    first.wait(30)
    time.sleep(3.0)
    (folder / "1").touch()
    began = time.monotonic()
    workers.start()
    assert wait_for(database, job).state == "succeeded"
    with database.read() as session:
        active = job_queries.active_seconds(session, job)
        assert 0.0 < active
        finished = [step for step in job_queries.steps_of(session, job) if step.finished_at is not None]
        assert sum(step.active_s for step in finished) <= active
        assert finished[-1].active_s <= time.monotonic() - began
