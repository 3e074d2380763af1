"""Interruptions: a database that does not answer, a full disk, killed children, names taken by two requests at once."""

import asyncio
import contextlib
import resource
import signal
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from service.app import create_app
from service.artifacts import ArtifactStore
from service.db.session import Database, is_full, is_passing
from service.db.tables import Job, Supernet
from service.errors import DatabaseUnavailableError, StorageFullError
from service.ids import DEFAULT_PROJECT
from service.run import migrate
from service.runtime import events, job_queries
from service.runtime.patience import patiently
from tests.service.conftest import Workers, wait_for
from tests.service.proxy import Proxy
from tests.service.test_errors import assert_problem
from tests.service.test_events import make_job, parse
from tests.service.test_trainings import asked
from tests.service.test_worker import begun, executions, folder, wait_until  # noqa: F401

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def everywhere(any_url, settings, tmp_path):
    """Settings on a database of each kind, with the tables of the job engine."""
    found = settings.model_copy(update={"database_url": any_url})
    migrate(found)
    return found


class MovedFile:
    """The database file, which is somewhere else while it is cut."""

    def __init__(self, path):
        self._path, self._away = path, path.with_name("away.db")

    def cut(self):
        self._path.rename(self._away)

    def restore(self):
        self._away.rename(self._path)


@pytest.fixture
def proxied(everywhere):
    """Settings through something that can be cut and restored: a proxy, or the file of SQLite that is moved away."""
    url = sa.make_url(everywhere.database)
    if url.get_backend_name() == "sqlite":
        yield everywhere, MovedFile(Path(url.database))
        return
    proxy = Proxy(url.host, url.port or 5432)
    through = url.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
    yield everywhere.model_copy(update={"database_url": through}), proxy
    proxy.close()


def client_on(settings):
    return TestClient(create_app(settings), base_url="http://127.0.0.1", raise_server_exceptions=False)


def test_a_job_survives_an_outage_of_the_database_and_repeats_nothing(proxied, folder):  # noqa: F811
    settings, proxy = proxied
    direct = Database(settings.database)
    workers = Workers(settings)
    try:
        with direct.write() as session:
            params = {"steps": 3, "folder": str(folder)}
            job = job_queries.create_job(session, DEFAULT_PROJECT, "count", params)
        with client_on(settings) as client:
            worker = workers.start()
            wait_until(lambda: begun(folder)[0] == [0, 1])
            proxy.cut()
            (folder / "1").touch()  # the step ends while the database is away
            answer = client.get(f"/v1/jobs/{job.id}")
            assert (
                assert_problem(answer, 503).code == "unavailable" and int(answer.headers["retry-after"]) > 0
            )
            assert client.get("/readyz").status_code == 503 and client.get("/healthz").status_code == 200
            time.sleep(2 * settings.worker_timeout_s)  # longer than silence is allowed to be
            proxy.restore()
            wait_until(lambda: begun(folder)[0] == [0, 1, 2])
            (folder / "2").touch()
            done = wait_for(direct, job.id)
            assert (done.state, done.attempts, worker.poll()) == ("succeeded", 1, None)
            assert client.get(f"/v1/jobs/{job.id}").json()["state"] == "succeeded"
        assert executions(direct, job.id) == [(f"count {n}", 1, True) for n in range(3)]
    finally:
        workers.stop()
        direct.dispose()


@contextlib.contextmanager
def locked(settings):
    """Another process writes for a long time."""
    with contextlib.closing(sqlite3.connect(settings.home / "netwright.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextlib.contextmanager
def moved(settings):
    file = MovedFile(settings.home / "netwright.db")
    file.cut()
    yield
    file.restore()


@contextlib.contextmanager
def too_large(settings):
    """The system lets no file grow: what a quota or a full disk does to a write."""
    size = (settings.home / "netwright.db-wal").stat().st_size
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("outage", [locked, moved, too_large])
def test_a_database_file_that_cannot_be_written_is_an_outage_and_nothing_is_lost(
    settings, monkeypatch, outage
):
    monkeypatch.setattr("service.db.session.BUSY_TIMEOUT_MS", 100)
    with client_on(settings) as client:
        assert client.post("/v1/targets", json={"name": "before"}).status_code == 201
        with outage(settings):
            answer = client.post("/v1/targets", json={"name": "during"})
            found = assert_problem(answer)
            assert found.code in ("unavailable", "storage_full") and "netwright.db" not in found.detail
            assert client.get("/healthz").status_code == 200
        assert (settings.home / "netwright.db").stat().st_size > 0
        assert client.post("/v1/targets", json={"name": "after"}).status_code == 201
        names = {row["name"] for row in client.get("/v1/targets").json()["items"]}
        assert names == {"before", "after"}


def test_a_database_that_is_read_only_refuses_writes_as_an_outage(settings):
    with client_on(settings) as client:
        engine = client.app.state.services.database.engine

        @sa.event.listens_for(engine, "begin")
        def freeze(connection):
            connection.exec_driver_sql("PRAGMA query_only = ON")

        assert client.get("/v1/targets").status_code == 200
        assert assert_problem(client.post("/v1/targets", json={}), 503).code == "unavailable"


def test_what_passes_is_told_from_what_does_not():
    class Refused(Exception):
        sqlstate = None

    class Full(Exception):
        sqlstate = "53100"

    class Wrong(Exception):
        sqlstate = "42P01"

    def error(cause):
        return sa.exc.OperationalError("SELECT 1", {}, cause)

    assert is_passing(error(Refused())) and not is_full(error(Refused()))
    assert is_full(error(Full())) and not is_passing(error(Full())) and not is_passing(error(Wrong()))
    assert is_passing(sa.exc.TimeoutError())


def test_work_is_done_again_until_the_database_answers(monkeypatch):
    tries = []

    def work():
        tries.append(1)
        if len(tries) < 3:
            raise DatabaseUnavailableError("away")
        return "done"

    monkeypatch.setattr("service.runtime.patience.FIRST_S", 0.01)
    assert patiently(work, "work") == "done" and len(tries) == 3
    ended = threading.Event()
    ended.set()
    tries.clear()
    with pytest.raises(DatabaseUnavailableError):
        patiently(work, "work", ended)


# --- full disk ---------------------------------------------------------------------------------------


def test_a_full_database_answers_507_until_there_is_room(client):
    engine = client.app.state.services.database.engine
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    limit = [pages]

    @sa.event.listens_for(engine, "begin")
    def bound(connection):
        connection.exec_driver_sql(f"PRAGMA max_page_count = {limit[0]}")

    answers = [client.post("/v1/targets", json={"name": f"cpu {n}"}) for n in range(40)]
    full = [answer for answer in answers if answer.status_code != 201]
    assert full and assert_problem(full[-1], 507).code == "storage_full"
    limit[0] = 10 * pages
    assert client.post("/v1/targets", json={"name": "at last"}).status_code == 201


def test_a_full_disk_of_artifacts_is_named(tmp_path, monkeypatch):
    store = ArtifactStore(str(tmp_path / "artifacts"))

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("service.artifacts.os.fsync", full)
    with pytest.raises(StorageFullError, match="disk is full"):
        store.put(b"x")
    monkeypatch.undo()
    assert store.read(store.put(b"x")) == b"x"


def test_readiness_tells_disk_workers_and_the_age_of_the_queue(client, database, monkeypatch):
    with database.write() as session:
        job = job_queries.create_job(session, DEFAULT_PROJECT, "count", {})
    ready = client.get("/readyz").json()
    assert ready["workers"] == 0 and ready["queued_for_s"] >= 0 and ready["disk_free_mb"] > 0
    waiting = client.get(f"/v1/jobs/{job.id}").json()
    assert waiting["waiting_for"].startswith("a worker: none is running")
    with database.write() as session:
        job_queries.register_worker(session, "wrk_1", "host", 1)
        job_queries.create_job(session, DEFAULT_PROJECT, "count", {})
        last = job_queries.create_job(session, DEFAULT_PROJECT, "count", {})
        short = job_queries.create_job(session, DEFAULT_PROJECT, "fit", {}, short=True)
    assert client.get("/readyz").json()["workers"] == 1
    assert client.get(f"/v1/jobs/{last.id}").json()["waiting_for"] == "2 jobs before it"
    assert client.get(f"/v1/jobs/{short.id}").json()["waiting_for"] is None
    monkeypatch.setattr("service.http.health.FULL_BELOW", float("inf"))
    assert_problem(client.get("/readyz"), 507)


# --- children and deaths -----------------------------------------------------------------------------


def test_only_deaths_on_one_step_park_a_job(database, workers, settings, folder):  # noqa: F811
    """Three workers die, each after another step was finished: more than may die on one."""
    with database.write() as session:
        params = {"steps": 4, "folder": str(folder)}
        job = job_queries.create_job(session, DEFAULT_PROJECT, "count", params)
    for number in range(1, 4):
        worker = workers.start()
        wait_until(lambda number=number: begun(folder)[0][-1:] == [number])
        worker.kill()
        worker.wait(30)
        (folder / str(number)).touch()
    workers.start()
    done = wait_for(database, job.id)
    assert done.attempts == 4 > settings.max_attempts and done.state == "succeeded"


# --- names -------------------------------------------------------------------------------------------


def test_one_of_many_trainings_of_one_name_is_accepted(everywhere):
    with client_on(everywhere) as client:
        body = asked()
        answers = at_once(lambda _n: client.post("/v1/trainings", json=body))
        assert sorted(answer.status_code for answer in answers) == [202] + 7 * [409]
        job = next(answer for answer in answers if answer.status_code == 202).json()["job"]["id"]
        assert_problem(client.post("/v1/supernets", json={"zoo": "digits", "name": "mine"}), 409)
        # A name is free again when its job has ended without a supernet.
        client.post(f"/v1/jobs/{job}:cancel")
        again = client.post("/v1/trainings", json=body)
        assert again.status_code == 202
        assert_problem(client.post(f"/v1/jobs/{job}:resume"), 409)
        client.post(f"/v1/jobs/{again.json()['job']['id']}:cancel")
        assert client.post(f"/v1/jobs/{job}:resume").status_code == 202
        client.post(f"/v1/jobs/{job}:cancel")


def test_registering_one_name_at_once_is_never_an_error_of_the_service(everywhere):
    with client_on(everywhere) as client:
        for path, body in (
            ("/v1/supernets", {"zoo": "digits", "name": "race"}),
            ("/v1/targets", {"name": "race"}),
        ):
            answers = at_once(lambda _n, path=path, body=body: client.post(path, json=body))
            statuses = {answer.status_code for answer in answers}
            assert statuses <= {200, 201, 409} and 201 in statuses, statuses
    database = Database(everywhere.database)
    with database.read() as session:
        assert len(session.query(Supernet).filter_by(name="race").all()) == 1
    database.dispose()


def at_once(send, count=8):
    barrier = threading.Barrier(count)

    def one(number):
        barrier.wait(60)
        return send(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


# --- event streams -----------------------------------------------------------------------------------


def test_ids_of_events_are_bounded_and_do_not_end_other_streams(client, database):
    job = make_job(database)
    path = f"/v1/jobs/{job}/events"
    last = 2**63 - 1
    assert client.get(path, params={"after": last}).text == ""
    assert client.get(path, headers={"last-event-id": str(last)}).status_code == 200
    assert_problem(client.get(path, params={"after": last + 1}), 422)
    for text in (str(last + 1), "9" * 30, "-1", "1.5", "", "x"):
        assert client.get(path, headers={"last-event-id": text}).status_code == 422, text
    superscript = client.get(path, headers={"last-event-id": "\u00b2".encode()})
    assert superscript.status_code == 422
    assert len(parse(client.get(path).text)) == 5


class Flaky:
    """A database whose reads fail for a while."""

    def __init__(self, database, error, times):
        self._database, self._error, self.left = database, error, times

    def read(self):
        if self.left > 0:
            self.left -= 1
            raise self._error
        return self._database.read()


def test_streams_go_on_after_an_outage(database, monkeypatch):
    monkeypatch.setattr(events, "RETRY_S", 0.01)
    job = make_job(database)
    hub = events.EventHub(Flaky(database, DatabaseUnavailableError("away"), 5), 0.01)

    async def listen():
        return parse(b"".join([part async for part in hub.stream(job, 0)]).decode())

    assert len(asyncio.run(asyncio.wait_for(listen(), 30))) == 5


@pytest.mark.parametrize("error", [DatabaseUnavailableError("away"), RuntimeError("a mistake")])
def test_a_stream_that_cannot_go_on_ends_and_the_next_one_works(database, monkeypatch, error):
    monkeypatch.setattr(events, "RETRY_S", 0.01)
    monkeypatch.setattr(events, "LONGEST_OUTAGE_S", 0.05)
    job = make_job(database)
    flaky = Flaky(database, error, 10**6)
    hub = events.EventHub(flaky, 0.01)

    async def listen():
        return [part async for part in hub.stream(job, 0)]

    async def story():
        assert await asyncio.wait_for(listen(), 30) == []
        flaky.left = 0
        assert len(parse(b"".join(await asyncio.wait_for(listen(), 30)).decode())) == 5

    asyncio.run(story())


def test_jobs_show_where_their_time_went(client, database):
    with database.write() as session:
        job = job_queries.create_job(session, DEFAULT_PROJECT, "count", {})
        step = job_queries.begin_step(session, job, "count 0", "wrk_1")
        step.active_s, step.waited_s = 3.0, 2.0
        session.get_one(Job, job.id).waited_s = 60.0
    time_of = client.get(f"/v1/jobs/{job.id}").json()["time"]
    assert time_of == {"active_s": 3.0, "waited_for_devices_s": 60.0, "waited_for_machine_s": 2.0}
