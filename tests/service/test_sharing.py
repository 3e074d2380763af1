"""A step that several workers execute in parts, by real processes on both databases."""

from collections import Counter

import pytest
import sqlalchemy as sa

from service.db.session import Database
from service.db.tables import Item, Job, Lease, Order, Worker
from service.ids import DEFAULT_PROJECT
from service.measurements.models import Quality
from service.runtime import job_queries
from service.settings import Settings
from service.subnets.tasks import SHARED_IMAGES, Evaluated, EvaluateIn
from service.supernets.bench import BenchSpec
from tests.service.conftest import Workers, wait_for
from tests.service.lease_tools import clean
from tests.service.test_worker import wait_until

pytestmark = pytest.mark.timeout(900)
NUMBERS = [0, 1, 2, 3]


@pytest.fixture
def place(migrated, any_url, tmp_path):
    """A database of each kind, its workers, and the folder that a job of parts logs to."""
    clean(migrated)
    (tmp_path / "home").mkdir()
    folder = tmp_path / "folder"
    folder.mkdir()
    settings = Settings(
        home=tmp_path / "home", database_url=any_url, heartbeat_s=0.2, poll_s=0.1, worker_timeout_s=5.0
    )
    workers = Workers(settings)
    yield Place(migrated, workers, folder)
    workers.stop()


class Place:
    def __init__(self, database: Database, workers: Workers, folder):
        self.database, self.workers, self.folder = database, workers, folder

    def start(self, count):
        """Workers that are alive."""
        started = [self.workers.start() for _ in range(count)]
        wait_until(lambda: {process.pid for process in started} <= self.alive())
        return {process.pid: process for process in started}

    def alive(self):
        with self.database.read() as session:
            return set(session.scalars(sa.select(Worker.pid).where(Worker.state == "alive")))

    def post(self, kind="spread", **more):
        with self.database.write() as session:
            params = {"numbers": NUMBERS, "folder": str(self.folder), **more}
            return job_queries.create_job(session, DEFAULT_PROJECT, kind, params).id

    def begun(self):
        """Each part that was begun, and the pid of the worker."""
        log = self.folder / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [(int(line.split()[0]), int(line.split()[1])) for line in lines]

    def owner(self, job):
        """The pid of the worker that has the job."""
        with self.database.read() as session:
            query = sa.select(Worker.pid).join(Job, Job.worker_id == Worker.id).where(Job.id == job)
            return session.scalar(query)

    def release(self, *numbers):
        for number in numbers:
            (self.folder / str(number)).touch()

    def items(self):
        """The states of the parts, in their order."""
        with self.database.read() as session:
            return list(session.scalars(sa.select(Item.state).order_by(Item.position)))

    def left(self):
        with self.database.read() as session:
            return [session.scalar(sa.select(sa.func.count()).select_from(t)) for t in (Order, Item, Lease)]


def test_idle_workers_take_parts_and_the_result_is_that_of_one(place):
    alone = place.start(1)
    place.release(*NUMBERS)
    job = place.post()
    one = wait_for(place.database, job).message
    assert one == "0 1 4 9" and [number for number, _ in place.begun()] == NUMBERS
    assert set(alone) == {pid for _, pid in place.begun()}
    for number in NUMBERS:
        (place.folder / str(number)).unlink()
    (place.folder / "log").unlink()
    place.start(1)
    job = place.post()
    wait_until(lambda: len({pid for _, pid in place.begun()}) == 2)
    place.release(*NUMBERS)
    both = wait_for(place.database, job)
    assert (both.state, both.message) == ("succeeded", one)
    assert Counter(number for number, _ in place.begun()) == Counter(NUMBERS), "each part once"
    assert place.left() == [0, 0, 0], "the record of the step is the only one"


@pytest.mark.parametrize("who", ["helper", "owner"])
def test_a_worker_that_is_killed_at_a_part_loses_it_to_others(place, who):
    workers = place.start(2)
    job = place.post()
    wait_until(lambda: len({pid for _, pid in place.begun()}) == 2)
    place.release(0)  # one part is done before the kill
    wait_until(lambda: len(place.begun()) == 3)
    held = dict(place.begun())
    owner = place.owner(job)
    killed = owner if who == "owner" else next(pid for pid in workers if pid != owner)
    workers[killed].kill()
    workers[killed].wait(30)
    place.start(1)
    place.release(*NUMBERS)
    ended = wait_for(place.database, job)
    assert (ended.state, ended.message) == ("succeeded", "0 1 4 9")
    times = Counter(number for number, _ in place.begun())
    again = [number for number in NUMBERS if times[number] > 1]
    assert times[0] == 1 and set(again) <= {number for number in held if held[number] == killed}
    assert max(times.values()) <= 2 and place.left() == [0, 0, 0]


def test_cancelling_a_job_stops_the_workers_at_its_parts(place):
    place.start(2)
    job = place.post()
    wait_until(lambda: len({pid for _, pid in place.begun()}) == 2)
    with place.database.write() as session:
        job_queries.set_state(session, session.get_one(Job, job), "cancelling")
    assert wait_for(place.database, job).state == "cancelled"
    wait_until(lambda: _open_leases(place) == 0)
    with place.database.write() as session:
        job_queries.set_state(session, session.get_one(Job, job), "queued")
    place.release(*NUMBERS)
    assert wait_for(place.database, job).message == "0 1 4 9"


def _open_leases(place):
    with place.database.read() as session:
        query = sa.select(sa.func.count()).where(Lease.state == "open", Lease.worker_id.is_not(None))
        return session.scalar(query)


@pytest.mark.parametrize(("n", "workers"), [(1, 2), (8, 2), (9, 2), (50, 3)])
def test_an_evaluation_is_divided_in_order_where_it_takes_long(n, workers):
    bench = BenchSpec(artifacts="a", cache="c", data=None, threads=1, files={}, images="digits")
    rows = [[number] for number in range(n)]
    request = EvaluateIn(bench=bench, population=rows, split="validation", split_images=SHARED_IMAGES)
    shares = request.shares(workers)
    assert [row for share in shares for row in share.population] == rows and len(shares) <= 4 * workers
    timed = request.model_copy(update={"seconds": 9.0})
    assert (request.limit_s, timed.limit_s) == (None, 9.0)
    shares = timed.shares(workers)
    assert [row for share in shares for row in share.population] == rows and len(shares) <= 8 * workers
    assert {share.seconds for share in shares} == {None}
    assert request.model_copy(update={"split_images": (SHARED_IMAGES - 1) // n}).shares(workers) == []


def test_evaluations_are_joined_up_to_the_first_part_that_was_not_begun():
    def part(*values):
        found = [Quality(metric="accuracy", value=value, standard_error=0.1, n=5, split="validation", precision="fp32",
                         split_sha256=None, stats_sha256=None) for value in values]  # fmt: skip
        return Evaluated(evaluations=found, images=5 * len(found))

    nothing = Evaluated.joined([])
    assert nothing == part()
    assert Evaluated.joined([part(0.1, 0.2), part(0.3)]) == part(0.1, 0.2, 0.3)
    assert Evaluated.joined([part(0.1, 0.2), nothing, part(0.4), nothing]) == part(0.1, 0.2)


@pytest.mark.parametrize("died", [False, True])
def test_when_the_time_is_over_no_further_part_is_begun_and_those_that_were_are_finished(place, died):
    """A part whose worker dies after that is not begun again."""
    workers = place.start(2)
    # A job before it starts the processes of both, so that both have begun a part before the time is over.
    first = place.post()
    wait_until(lambda: len({pid for _, pid in place.begun()}) == 2)
    place.release(*NUMBERS)
    wait_for(place.database, first)
    for name in (*map(str, NUMBERS), "log"):
        (place.folder / name).unlink()
    job = place.post(seconds=8.0)
    wait_until(lambda: len({pid for _, pid in place.begun()}) == 2)
    begun = dict(place.begun())
    owner = place.owner(job)
    wait_until(lambda: place.items() == ["leased", "leased", "done", "done"] or len(place.begun()) > 2)
    if died:
        helper = next(pid for pid in workers if pid != owner)
        workers[helper].kill()
        workers[helper].wait(30)
        # Given back first, which frees it for another worker until it is closed.
        wait_until(lambda: place.items().count("done") == 3)
    place.release(*NUMBERS)
    ended = wait_for(place.database, job)
    expected = [number for number in begun if not died or begun[number] == owner]
    assert (ended.state, ended.message) == (
        "succeeded",
        " ".join(str(number**2) for number in sorted(expected)),
    )
    assert len(place.begun()) == 2 and place.left() == [0, 0, 0]
