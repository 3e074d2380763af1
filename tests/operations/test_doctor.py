"""The doctor: nothing to do where all works, and for each thing that does not, what to do about it."""

import json
import os
import socket
import subprocess
import sys
import threading

import pytest
import sqlalchemy as sa

from service.db.session import Database
from service.db.tables import Job
from service.http.keys import make_key
from service.ids import DEFAULT_PROJECT
from service.operations.doctor import CHECKS, STORED, diagnose, worst
from service.run import migrate
from service.runtime import job_queries
from tests.operations.conftest import KINDS
from tests.service.conftest import ROOT
from tests.service.house import House, wait_until


@pytest.fixture
def here(place, monkeypatch, tmp_path):
    """A migrated place that the variables name, with a port on which nothing listens."""
    for name in [name for name in os.environ if name.startswith("NETWRIGHT_")]:
        monkeypatch.delenv(name)
    here = place("sqlite")
    migrate(here)
    monkeypatch.setenv("NETWRIGHT_HOME", str(here.home))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("NETWRIGHT_PORT", str(free.getsockname()[1]))
    return here


def found(check):
    """Findings of a check that are not ok, in words."""
    findings = [each for each in diagnose() if each.status != "ok"]
    assert all(each.action for each in findings)
    return [(each.status, f"{each.message} -> {each.action}") for each in findings if each.check == check]


def test_every_check_has_a_finding(here):
    assert {each.check for each in diagnose()} == {*CHECKS, *STORED}
    assert worst(diagnose()) == "warning"  # neither service nor worker


@pytest.mark.parametrize(
    ("variable", "value", "check", "words"),
    [
        ("NETWRIGHT_DEVICE", "cuda", "runtime", "torch finds no GPU"),
        ("NETWRIGHT_THREADS", "999", "threads", "NETWRIGHT_THREADS is 999"),
        ("NETWRIGHT_ALOWED_HOSTS", "vm", "settings", "did you mean NETWRIGHT_ALLOWED_HOSTS?"),
        ("NETWRIGHT_PORT", "no", "settings", "NETWRIGHT_PORT=no"),
        ("NETWRIGHT_IMPORT_DIR", "/no/such/folder", "folders", "does not exist"),
        ("NETWRIGHT_DATA", "/no/such/folder", "folders", "NETWRIGHT_DATA"),
        ("NETWRIGHT_HOME", "/no/such/home", "folders", "netwright migrate"),
        ("NETWRIGHT_HOME", "/no/such/home", "database", "there is no database at /no/such/home/netwright.db"),
        ("NETWRIGHT_HOME", "/no/such/home", "database", "the database used before is"),
        ("NETWRIGHT_ARTIFACTS_URL", "/proc/artifacts", "artifacts", "/proc/artifacts cannot be used"),
        ("NETWRIGHT_HOST", "0.0.0.0", "access", "netwright keys create"),
        (
            "NETWRIGHT_DATABASE_URL",
            "postgresql+psycopg://me:hunter2@127.0.0.1:9/x",
            "database",
            "does not answer",
        ),
    ],
)
def test_what_is_wrong_with_a_setting(here, monkeypatch, variable, value, check, words):
    monkeypatch.setenv(variable, value)
    messages = [message for _, message in found(check)]
    assert any(words in message for message in messages), messages
    assert "hunter2" not in repr(diagnose())


def test_another_program_at_the_port(here, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("NETWRIGHT_PORT", str(listener.getsockname()[1]))

        def answer():
            connection = listener.accept()[0]
            with connection:
                connection.recv(1000)
                connection.sendall(b"220 mail.example.org ESMTP\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        assert [status for status, _ in found("address")] == ["error"]
        thread.join()


@pytest.mark.parametrize("kind", KINDS)
def test_jobs_that_wait_or_were_parked(place, here, monkeypatch, kind):
    there = place(kind)
    migrate(there)
    monkeypatch.setenv("NETWRIGHT_HOME", str(there.home))
    monkeypatch.setenv("NETWRIGHT_DATABASE_URL", there.database_url)
    assert [status for status, _ in found("workers")] == ["warning"]
    database = Database(there.database)
    with database.write() as session:
        job_queries.create_job(session, DEFAULT_PROJECT, "measure", {})
        parked = job_queries.create_job(session, DEFAULT_PROJECT, "measure", {})
        job_queries.set_state(session, parked, "failed", error=("parked", "3 workers died"))
        session.execute(sa.update(Job).values(created_at=sa.text("'2020-01-01 00:00:00'")))
    database.dispose()
    ((status, message),) = found("workers")
    assert status == "error" and "1 job is queued" in message
    assert ["netwright worker" in message for _, message in found("queue")] == [True, False]
    assert f"netwright jobs resume {parked.id}" in found("queue")[1][1]
    assert found("clock") == []


def test_an_old_schema_is_named_and_nothing_is_read_from_it(here):
    database = Database(here.database)
    with database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'old'"))
    database.dispose()
    ((status, message),) = found("database")
    assert status == "error" and "has schema old" in message and "netwright migrate" in message
    assert not {each.check for each in diagnose()} & set(STORED)


def test_a_running_service_with_a_worker_needs_nothing(here, tmp_path, monkeypatch):
    database = Database(here.database)
    with database.write() as session:
        make_key(session, DEFAULT_PROJECT, "me", ["admin"])
    database.dispose()
    house = House(here, tmp_path)
    environment = {**os.environ, "NETWRIGHT_PORT": str(house.port), "NETWRIGHT_HOME": str(here.home)}

    def doctor():
        return subprocess.run(
            [sys.executable, "-m", "netwright", "doctor", "--json"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )

    try:
        house.start("serve")
        house.start("worker")
        wait_until(lambda: json.loads(doctor().stdout)["status"] == "ok")
        assert doctor().returncode == 0
    finally:
        house.close()
    environment["NETWRIGHT_HOME"] = str(tmp_path / "nowhere")
    assert doctor().returncode == 1
