"""What nothing refers to is deleted after some days, and nothing else, on both databases."""

import os
from datetime import timedelta

import pytest
import sqlalchemy as sa

from service.artifacts import ArtifactStore, own_artifact
from service.db.tables import Artifact, Item, Job, JobStep, Order, Table, now
from service.ids import DEFAULT_PROJECT as P
from service.ids import new_id
from service.operations.retention import REFERRING, prune
from service.runtime import job_queries
from service.settings import Settings
from tests.service.conftest import any_url, migrated  # noqa: F401
from tests.service.lease_tools import clean

NOT_OF_FILES = {
    "api_keys.sha256", "api_keys.scopes", "agents.description", "artifacts.sha256", "best_points.figures",
    "exports.exporter", "exports.facts", "exports.parity", "finetunes.recipe", "front_points.body",
    "idempotent_requests.sha256", "job_events.data", "measurement_orders.metrics", "measurement_orders.protocol",
    "measurement_orders.span", "measurements.details", "searches.history", "searches.nearest", "searches.reference",
    "searches.spec", "searches.warnings", "subnets.arch", "subnets.costs", "targets.calibrations",
    "targets.description", "targets.stale", "targets.metrics", "targets.settings", "targets.drifts",
}  # fmt: skip
"""Columns with hashes or JSON that name no file, or only files that another column names too."""


@pytest.fixture
def home(migrated, any_url, tmp_path):  # noqa: F811
    clean(migrated)
    return Settings(home=tmp_path, database_url=any_url)


def put(database, settings, content, owned=True):
    sha256 = ArtifactStore(settings.artifacts).put(content)
    if owned:
        with database.write() as session:
            own_artifact(session, P, sha256, len(content), "text/plain", "file")
    return sha256


def age(database, days):
    """As if the artifacts had been looked at this many days before."""
    with database.write() as session:
        session.execute(
            sa.update(Artifact)
            .where(Artifact.unused_since.is_not(None))
            .values(unused_since=now() - timedelta(days=days))
        )


def job(database, state, **params):
    with database.write() as session:
        row = job_queries.create_job(session, P, "import", params)
        job_queries.set_state(session, row, state)
        return row.id


def test_every_column_that_may_name_a_file_is_known():
    found = {
        f"{table.name}.{column.name}"
        for table in Table.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, sa.JSON) or getattr(column.type, "length", None) == 64
    }
    referring = {f"{column.class_.__tablename__}.{column.key}" for columns in REFERRING for column in columns}
    assert referring <= found and not referring & NOT_OF_FILES
    assert found - referring == NOT_OF_FILES, "decide for new columns"


def test_what_is_unused_is_deleted_after_the_days_and_what_is_used_stays(migrated, home):  # noqa: F811
    store = ArtifactStore(home.artifacts)
    names = ("unused", "failed", "running", "done", "net", "again")
    hashes = {name: put(migrated, home, name.encode()) for name in names}
    failed = job(migrated, "failed", file=hashes["failed"])
    job(migrated, "running", file=hashes["running"])
    done = job(migrated, "succeeded", file=hashes["done"])
    with migrated.write() as session:
        session.add(JobStep(id=new_id("stp"), project_id=P, job_id=done, step="s", execution=1, worker_id="w",
                            result={"version": hashes["done"]}, finished_at=now()))  # fmt: skip
        order = Order(id=new_id("ord"), project_id=P, job_id=done, step="s", protocol={}, metrics=[],
                      together=False, span=[])  # fmt: skip
        session.add(order)
        session.flush()
        session.add(
            Item(id=new_id("itm"), project_id=P, order_id=order.id, position=0, file_sha256=hashes["net"])
        )
    first = prune(home, 10)
    assert (first.unused, first.artifacts) == (4, []), "it waits for the days"
    age(migrated, 11)
    put(migrated, home, b"again")  # needed again
    assert sorted(prune(home, 10, dry_run=True).artifacts) == sorted(
        hashes[name] for name in ("unused", "done", "net")
    )
    assert store.hashes() == sorted(hashes.values()), "a dry run deletes nothing"
    second = prune(home, 10)
    gone = {hashes[name] for name in ("unused", "done", "net")}
    assert set(second.artifacts) == gone and second.bytes == len(b"unused" + b"done" + b"net")
    assert set(store.hashes()) == set(hashes.values()) - gone
    with migrated.write() as session:
        session.get_one(Job, failed).state = "succeeded"
    prune(home, 10)
    age(migrated, 11)
    assert set(prune(home, 10).artifacts) == {hashes["failed"], hashes["again"]}


def test_files_without_a_row_and_folders_of_trainings(migrated, home):  # noqa: F811
    new, old = (put(migrated, home, content, owned=False) for content in (b"new", b"old"))
    path = home.home / "artifacts" / old[:2] / old
    os.utime(path, (0, 0))
    jobs = {state: job(migrated, state) for state in ("running", "succeeded", "failed", "cancelled")}
    with migrated.write() as session:
        session.get_one(Job, jobs["cancelled"]).finished_at = now() - timedelta(days=11)
    for name in (*jobs.values(), "job_gone"):
        (home.home / "trainings" / name).mkdir(parents=True)
        (home.home / "trainings" / name / "state").write_bytes(b"12345")
    found = prune(home, 10)
    assert found.files == [old] and ArtifactStore(home.artifacts).hashes() == [new]
    assert set(found.trainings) == {jobs["succeeded"], jobs["cancelled"], "job_gone"}
    left = {path.name for path in (home.home / "trainings").iterdir()}
    assert left == {jobs["running"], jobs["failed"]} and found.training_bytes == 15
    os.utime(home.home / "artifacts" / new[:2] / new, (0, 0))
    put(migrated, home, b"new", owned=False)
    assert prune(home, 10).files == [], "what is stored again is new again"
