"""Real worker processes: killed, stopped, declared dead, cancelled, failing, and the jobs they leave behind."""

import os
import time

import pytest

from service.db.tables import Job, Worker
from service.ids import DEFAULT_PROJECT
from service.runtime import job_queries
from tests.service.conftest import wait_for

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def start(database):
    """Queue a job; returns its id."""

    def start(kind, short=False, **params):
        with database.write() as session:
            job = job_queries.create_job(session, DEFAULT_PROJECT, kind, params, short=short)
            return job.id

    return start


@pytest.fixture
def folder(tmp_path):
    """Where a counting job logs, and waits for files."""
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder


def begun(folder):
    """Steps begun, and the process of the last."""
    log = folder / "log"
    lines = log.read_text().splitlines() if log.exists() else []
    return [int(line.split()[0]) for line in lines], int(lines[-1].split()[1]) if lines else None


def wait_until(condition, seconds=200.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def executions(database, job_id):
    """Every execution of every step, and whether it finished."""
    with database.read() as session:
        steps = job_queries.steps_of(session, job_id)
        return sorted((step.step, step.execution, step.finished_at is not None) for step in steps)


def test_killed_and_stopped_workers_lose_nothing_and_repeat_no_finished_step(
    database, start, workers, folder
):
    job_id = start("count", steps=3, folder=str(folder))
    first = workers.start()
    wait_until(lambda: begun(folder)[0] == [0, 1])
    _, child = begun(folder)
    first.kill()
    first.wait(30)
    wait_until(lambda: not alive(child))  # a child does not outlive its worker
    (folder / "1").touch()
    second = workers.start()
    wait_until(lambda: begun(folder)[0] == [0, 1, 1, 2])
    _, child = begun(folder)
    second.terminate()
    assert second.wait(60) == 0
    wait_until(lambda: not alive(child))
    (folder / "2").touch()
    workers.start()
    job = wait_for(database, job_id)
    assert (job.state, job.attempts, job.done, job.total) == (
        "succeeded",
        2,
        3,
        3,
    )  # to be stopped is no failed attempt
    assert begun(folder)[0] == [0, 1, 1, 2, 2]
    assert executions(database, job_id) == [
        ("count 0", 1, True),
        ("count 1", 1, False),
        ("count 1", 2, True),
        ("count 2", 1, False),
        ("count 2", 2, True),
    ]
    with database.read() as session:
        states = [
            e.data["state"] for e in job_queries.events_after(session, {job_id: 0}) if e.type == "state"
        ]
    assert states == ["queued", "running", "queued", "running", "queued", "running", "succeeded"]


def test_failures_and_cancelling_leave_the_worker_at_work(client, database, start, workers, folder):
    failing, crashing = start("fail"), start("crash")
    unwanted = start("count", steps=1, folder=str(folder))
    assert client.post(f"/v1/jobs/{unwanted}:cancel").json()["state"] == "cancelled"  # it never runs
    held, waiting = start("count", steps=2, folder=str(folder)), start("count", steps=1)
    worker = workers.start()

    job = wait_for(database, failing)
    assert (job.state, job.error_code) == ("failed", "invalid_request")
    assert job.error_message == "size must be >= 0, got -1"
    with database.read() as session:
        assert not any("Traceback" in line for line in job_queries.log_of(session, failing))
    job = wait_for(database, crashing)
    assert (job.state, job.error_code) == ("failed", "child_died")

    wait_until(lambda: begun(folder)[0] == [0, 1])
    _, child = begun(folder)
    answer = client.post(f"/v1/jobs/{held}:cancel")
    assert (answer.status_code, answer.json()["state"]) == (202, "cancelling")
    assert wait_for(database, held).state == "cancelled"
    wait_until(lambda: not alive(child))
    assert client.post(f"/v1/jobs/{held}:cancel").status_code == 409

    assert wait_for(database, waiting).state == "succeeded"
    assert client.post(f"/v1/jobs/{waiting}:resume").status_code == 409
    with database.read() as session:
        assert job_queries.log_of(session, waiting) == ["counting 0"]

    (folder / "1").touch()
    assert client.post(f"/v1/jobs/{held}:resume").json()["state"] == "queued"
    assert wait_for(database, held).state == "succeeded"
    assert begun(folder)[0] == [0, 1, 1]
    assert worker.poll() is None


def test_a_job_takes_the_process_of_a_free_place(database, start, workers, tmp_path):
    def process(name, **params):
        folder = tmp_path / name
        folder.mkdir()
        return folder, start("count", folder=str(folder), **params)

    workers.start()
    first, job = process("first", steps=1)
    assert wait_for(database, job).state == "succeeded"
    held, short = process("held", steps=2, short=True)
    wait_until(lambda: begun(held)[0] == [0, 1])
    beside, job = process("beside", steps=1)
    assert wait_for(database, job).state == "succeeded"
    assert begun(held)[1] == begun(first)[1] != begun(beside)[1]  # it is not shared with a job that runs
    (held / "1").touch()
    assert wait_for(database, short).state == "succeeded"
    again, job = process("again", steps=1)
    assert wait_for(database, job).state == "succeeded"
    assert begun(again)[1] == begun(beside)[1]  # a place that has a process keeps it


def test_a_job_that_kills_every_worker_is_parked(database, start, workers, settings, folder):
    job_id = start("count", steps=2, folder=str(folder))
    for expected in ([0, 1], [0, 1, 1]):
        worker = workers.start()
        wait_until(lambda expected=expected: begun(folder)[0] == expected)
        worker.kill()
        worker.wait(30)
    workers.start()
    job = wait_for(database, job_id)
    assert (job.state, job.error_code, job.attempts) == ("failed", "parked", settings.max_attempts)

    def states():
        with database.read() as session:
            return sorted(worker.state for worker in session.query(Worker))

    wait_until(lambda: states() == ["alive", "gone", "gone"])


def test_a_worker_that_was_declared_dead_stops_before_it_writes(database, start, workers, folder):
    job_id = start("count", steps=2, folder=str(folder))
    worker = workers.start()
    wait_until(lambda: begun(folder)[0] == [0, 1])
    _, child = begun(folder)
    with database.write() as session:
        session.get_one(Worker, session.get_one(Job, job_id).worker_id).state = "claimed"
    assert worker.wait(60) == 70
    wait_until(lambda: not alive(child))
    assert executions(database, job_id) == [("count 0", 1, True), ("count 1", 1, False)]
