"""A migrated database once a session, copied for each test; an application on it; rows that jobs would write."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from service.app import create_app
from service.db.migrate import upgrade
from service.db.session import Database
from service.db.tables import Job
from service.ids import new_id
from service.run import migrate
from service.runtime import job_queries
from service.settings import Settings
from tests.service.rows import insert_measured

ROOT = Path(__file__).resolve().parents[2]
POSTGRES = os.environ.get("NETWRIGHT_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """A folder with a migrated SQLite database."""
    home = tmp_path_factory.mktemp("template")
    migrate(Settings(home=home))
    return home


@pytest.fixture
def settings(template, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(template, home)
    (tmp_path / "import").mkdir()
    return Settings(
        home=home,
        import_dir=tmp_path / "import",
        heartbeat_s=0.2,
        poll_s=0.1,
        worker_timeout_s=5.0,
        max_attempts=2,
    )


@pytest.fixture
def database(settings):
    database = Database(settings.database)
    yield database
    database.dispose()


@pytest.fixture
def client(settings):
    with TestClient(
        create_app(settings), base_url="http://127.0.0.1", raise_server_exceptions=False
    ) as client:
        yield client


@pytest.fixture
def supernet(client):
    """The digits supernet, registered."""
    answer = client.post("/v1/supernets", json={"zoo": "digits"})
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.fixture
def target(client):
    answer = client.post("/v1/targets", json={})
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.fixture
def measured(database, supernet, target):
    """Rows as a measuring and an evaluating job would have left them, made from the closed forms."""
    return insert_measured(database, supernet["id"], target["id"])


class Workers:
    """Worker processes of a test; all are gone at its end."""

    def __init__(self, settings):
        self._settings = settings
        self._started = []

    def start(self, module="tests.service.small_jobs", *, under=(), **settings):
        """A worker process; ``under`` is a command that runs it, ``settings`` are further environment variables."""
        environment = {
            **os.environ,
            "NETWRIGHT_HOME": str(self._settings.home),
            "NETWRIGHT_DATABASE_URL": self._settings.database_url,
            "NETWRIGHT_HEARTBEAT_S": str(self._settings.heartbeat_s),
            "NETWRIGHT_POLL_S": str(self._settings.poll_s),
            "NETWRIGHT_WORKER_TIMEOUT_S": str(self._settings.worker_timeout_s),
            "NETWRIGHT_MAX_ATTEMPTS": str(self._settings.max_attempts),
            **settings,
        }
        log = (self._settings.home / "worker.log").open("a")
        with log:
            process = subprocess.Popen(
                [*under, sys.executable, "-m", module], cwd=ROOT, env=environment, stdout=log, stderr=log
            )
        self._started.append(process)
        return process

    def stop(self):
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.wait(20)


@pytest.fixture
def workers(settings):
    workers = Workers(settings)
    yield workers
    workers.stop()


def wait_for(database, job_id, states=job_queries.FINAL, seconds=300.0):
    """The job, once it is in one of these states."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with database.read() as session:
            job = session.get_one(Job, job_id)
            if job.state in states:
                session.expunge_all()
                return job
        time.sleep(0.1)
    raise AssertionError(f"job {job_id} is {job.state} after {seconds} s, expected {states}")


def postgres_answers():
    engine = sa.create_engine(POSTGRES, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 2})
    try:
        with engine.connect():
            return True
    except sa.exc.OperationalError:
        return False
    finally:
        engine.dispose()


@pytest.fixture(scope="session", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def any_url(request, tmp_path_factory):
    """URL of a database of each kind, empty at first; the one on PostgreSQL is made and dropped here."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('any') / 'test.db'}"
        return
    if not postgres_answers():
        pytest.skip("no PostgreSQL answers at NETWRIGHT_TEST_POSTGRES")
    name = new_id("netwright_test")
    server = sa.create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
    try:
        yield sa.make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            connection.exec_driver_sql(f'DROP DATABASE "{name}" WITH (FORCE)')
        server.dispose()


@pytest.fixture(scope="module")
def migrated(any_url):
    """A migrated database of each kind, which the tests of a module share and empty."""
    database = Database(any_url)
    upgrade(database)
    yield database
    database.dispose()
