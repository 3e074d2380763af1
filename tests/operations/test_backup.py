"""Backups: whole, of one moment, for either kind of database, and refused once a byte of them is another."""

import json
import os
import random
import subprocess
import sys

import pytest
import sqlalchemy as sa

from service.artifacts import ArtifactStore
from service.db import migrate as migration
from service.db.session import Database
from service.db.tables import Project, Search, Table, Worker
from service.errors import ArtifactError, ConflictError, InvalidError
from service.ids import DEFAULT_PROJECT
from service.operations import archive, rows
from service.operations.backup import back_up
from service.operations.restore import restore
from service.run import migrate
from service.runtime import job_queries
from service.settings import Settings
from tests.operations.conftest import KINDS
from tests.service.conftest import ROOT, Workers, wait_for

FLIPS, CUTS = 16, 8


def quiet(step, done, total):
    assert 0 <= done <= total


def content(settings):
    """Every row of every table, in an order of its own, as Python values."""
    database = Database(settings.database)
    try:
        with database.engine.connect() as connection:
            return {
                table.name: sorted(
                    (json.loads(line) for line in rows.lines(connection, table)), key=json.dumps
                )
                for table in rows.find_tables(connection)
                if rows.count_rows(connection, table)
            }
    finally:
        database.dispose()


def ordered(rows_of_tables):
    """The same whatever the order of the keys of JSON values, which PostgreSQL does not keep."""
    return {
        table: sorted(json.dumps(row, sort_keys=True) for row in lines)
        for table, lines in rows_of_tables.items()
    }


@pytest.mark.postgres
def test_rows_and_artifacts_survive_a_journey_through_both_databases(furnished, place, tmp_path):
    first = Settings(home=furnished)
    places = [first, *(place(kind) for kind in ("postgresql", "postgresql", "sqlite"))]
    for number, (source, destination) in enumerate(zip(places, places[1:], strict=False)):
        file = tmp_path / f"{number}.zip"
        made = back_up(source, file, quiet)
        assert made.damaged == [] and made.bytes == file.stat().st_size
        assert restore(destination, file, quiet) == made.manifest
    before, after = content(first), content(places[-1])
    assert {"searches", "front_points", "measurements", "job_events", "artifacts"} <= set(before)
    assert ordered(after) == ordered(before)
    stores = [ArtifactStore(place.artifacts) for place in (first, places[-1])]
    assert stores[0].hashes() == stores[1].hashes() != []
    assert all(stores[1].is_whole(sha256) for sha256 in stores[1].hashes())


@pytest.mark.parametrize("kind", KINDS)
def test_new_rows_are_numbered_after_the_restored_ones(furnished, place, tmp_path, kind):
    back_up(Settings(home=furnished), tmp_path / "b.zip", quiet)
    there = place(kind)
    restore(there, tmp_path / "b.zip", quiet)
    database = Database(there.database)
    with database.write() as session:  # its events take the next numbers
        job_queries.create_job(session, DEFAULT_PROJECT, "measure", {})
    database.dispose()


def netwright(settings, *arguments):
    environment = {
        **os.environ,
        "NETWRIGHT_HOME": str(settings.home),
        "NETWRIGHT_DATABASE_URL": settings.database_url,
    }
    return subprocess.run(
        [sys.executable, "-m", "netwright", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("kind", "other"),
    [
        pytest.param("sqlite", "postgresql", marks=pytest.mark.postgres),
        pytest.param("postgresql", "sqlite", marks=pytest.mark.postgres),
    ],
)
def test_jobs_go_on_after_their_last_finished_step_on_the_restored_database(place, tmp_path, kind, other):
    quick = {"heartbeat_s": 0.2, "poll_s": 0.1, "worker_timeout_s": 5.0}
    here, there = place(kind, **quick), place(other, **quick)
    migrate(here)
    folder = tmp_path / "folder"
    folder.mkdir()
    workers, database = Workers(here), Database(here.database)
    try:
        ids = [start(database, folder, steps) for steps in (3, 2)]
        workers.start()
        (folder / "1").touch()
        wait_for(database, ids[0], ("running",))
        while "2 " not in (folder / "log").read_text() if (folder / "log").exists() else True:
            assert workers._started[0].poll() is None
        made = netwright(here, "backup", str(tmp_path / "b.zip"), "--json")
        assert made.returncode == 0, made.stderr
        assert json.loads(made.stdout)["damaged"] == []
    finally:
        workers.stop()
        database.dispose()
    assert (tmp_path / "b.zip").stat().st_mode & 0o777 == 0o600
    done = netwright(there, "restore", str(tmp_path / "b.zip"))
    assert done.returncode == 0, done.stderr
    assert "restored into" in done.stdout
    (folder / "2").touch()
    workers, database = Workers(there), Database(there.database)
    try:
        workers.start()
        assert [wait_for(database, id).state for id in ids] == ["succeeded"] * 2
    finally:
        workers.stop()
        database.dispose()
    begun = [line.split()[0] for line in (folder / "log").read_text().splitlines()]
    assert begun[:3] == ["0", "1", "2"]
    assert sorted(begun[3:]) == ["0", "1", "2"]  # the step that was interrupted, and the job that waited


def start(database, folder, steps):
    with database.write() as session:
        job = job_queries.create_job(
            session, DEFAULT_PROJECT, "count", {"steps": steps, "folder": str(folder)}
        )
        return job.id


@pytest.fixture
def small(place, tmp_path):
    """A backup of a database with an artifact and two searches, the first of which extends the second."""
    here = place("sqlite")
    migrate(here)
    fill(here)
    file = tmp_path / "small.zip"
    back_up(here, file, quiet)
    return here, file


def fill(here):
    from service.artifacts import own_artifact
    from service.db.tables import Supernet

    sha256 = ArtifactStore(here.artifacts).put(b"weights" * 100)
    database = Database(here.database)
    with database.write() as session:
        own_artifact(session, DEFAULT_PROJECT, sha256, 700, "application/octet-stream", "weights")
        known = {"project_id": DEFAULT_PROJECT, "manifest": {"é": None}, "files": {}}
        session.add(Supernet(id="net", name="a", source="zoo", weights_sha256=sha256, **known))
        session.flush()
        session.add(Search(id="sea_2", project_id=DEFAULT_PROJECT, supernet_id="net", spec={}))
        session.flush()
        search = Search(id="sea_1", project_id=DEFAULT_PROJECT, supernet_id="net", spec={}, nearest=None)
        search.extends_id = "sea_2"
        session.add(search)
    database.dispose()
    return sha256


def test_rows_that_refer_to_later_rows_of_their_table_are_restored(small, place):
    here, file = small
    there = place("sqlite")
    restore(there, file, quiet)
    assert content(there) == content(here)


def test_a_truncated_or_changed_backup_is_refused_before_anything_is_written(small, place):
    here, file = small
    whole, rng = file.read_bytes(), random.Random(0)
    changed = []
    for at in rng.sample(range(len(whole)), FLIPS):
        changed.append(whole[:at] + bytes([whole[at] ^ (1 << rng.randrange(8))]) + whole[at + 1 :])
    refused = 0
    for damaged in [*changed, b"PK", whole + b"x", b"x" + whole]:
        file.write_bytes(damaged)
        there = place("sqlite")
        try:
            restore(there, file, quiet)
        except archive.BackupError as error:
            assert str(file) in str(error)
            assert not there.home.exists()
            refused += 1
        else:  # a byte that is no content, such as a time stamp of the archive
            assert content(there) == content(here)
            assert ArtifactStore(there.artifacts).hashes() == ArtifactStore(here.artifacts).hashes()
    assert refused > 0


def test_no_part_of_a_backup_is_one(small, place):
    _, file = small
    whole, rng = file.read_bytes(), random.Random(1)
    for length in [0, 1, len(whole) - 1, *rng.sample(range(len(whole)), CUTS)]:
        file.write_bytes(whole[:length])
        with pytest.raises(archive.BackupError):
            archive.verify(file, quiet)


@pytest.mark.parametrize("kind", KINDS)
def test_a_database_that_was_used_is_no_destination(small, place, kind):
    _, file = small
    there = place(kind)
    migrate(there)
    database = Database(there.database)
    with database.write() as session:
        session.add(Worker(id="w", host="h", pid=1))
    with pytest.raises(ConflictError, match="workers") as refused:
        restore(there, file, quiet)
    assert "NETWRIGHT_DATABASE_URL" in str(refused.value)
    with database.write() as session:
        session.execute(sa.delete(Worker))
        assert session.scalars(sa.select(Project.name)).all() == ["default"]
    database.dispose()
    restore(there, file, quiet)


def test_a_backup_never_replaces_a_file(small):
    here, file = small
    before = file.read_bytes()
    with pytest.raises(InvalidError, match="does not exist yet"):
        back_up(here, file, quiet)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.glob(".*")] == []


@pytest.mark.parametrize("harm", ["gone", "damaged"])
def test_artifacts_that_are_gone_or_damaged_are_named(small, place, tmp_path, harm):
    here, _ = small
    sha256 = ArtifactStore(here.artifacts).hashes()[0]
    stored = here.home / "artifacts" / sha256[:2] / sha256
    if harm == "gone":
        stored.unlink()
    else:
        stored.write_bytes(b"others")
    with pytest.raises(ArtifactError, match=sha256):
        back_up(here, tmp_path / "b.zip", quiet)
    assert not (tmp_path / "b.zip").exists()
    made = back_up(here, tmp_path / "b.zip", quiet, skip_damaged=True)
    assert made.damaged == [sha256] and made.manifest.artifacts == {}
    there = place("sqlite")
    restore(there, tmp_path / "b.zip", quiet)
    assert content(there) == content(here)


@pytest.mark.parametrize("kind", KINDS)
def test_a_backup_of_an_earlier_schema_is_migrated(place, tmp_path, kind):
    older = migration.ScriptDirectory.from_config(migration.config()).get_base()
    here = place("sqlite")
    here.home.mkdir()
    database = Database(here.database)
    migration.upgrade(database, older)
    with database.engine.begin() as connection:
        connection.execute(
            sa.text("INSERT INTO projects (id, name, created_at) VALUES ('p', 'other', '2026-01-01')")
        )
    database.dispose()
    made = back_up(here, tmp_path / "old.zip", quiet)
    assert made.manifest.schema_version == older
    there = place(kind)
    restore(there, tmp_path / "old.zip", quiet)
    restored = Database(there.database)
    assert migration.current(restored) == migration.newest()
    with restored.read() as session:
        assert session.get(Project, "p") is not None
    restored.dispose()


def test_a_backup_of_a_newer_schema_is_refused(small, place):
    here, file = small
    database = Database(here.database)
    with database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'ffffffffffff'"))
    database.dispose()
    newer = file.with_name("newer.zip")
    back_up(here, newer, quiet)
    there = place("sqlite")
    with pytest.raises(archive.BackupError, match="schema ffffffffffff"):
        restore(there, newer, quiet)
    assert not there.home.exists()


def test_check_reads_the_file_only(small, place):
    _, file = small
    there = place("sqlite")
    checked = netwright(there, "restore", str(file), "--check", "--json")
    assert checked.returncode == 0, checked.stderr
    assert json.loads(checked.stdout)["restored"] is False
    assert not there.home.exists()
    missing = netwright(there, "restore", "nowhere.zip")
    assert missing.returncode == 1 and "there is no file nowhere.zip" in missing.stderr


def test_every_table_is_backed_up(small):
    _, file = small
    with archive.open_archive(file) as (_, manifest):
        held = {entry.name for entry in manifest.tables}
    assert held == set(Table.metadata.tables)
