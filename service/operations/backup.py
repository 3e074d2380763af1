"""Backup: a snapshot of the database and every artifact of the store, in one file, while the service runs.

The rows come from one read transaction. The artifacts are listed after it has begun: a row is written after the
artifacts that it names, and an artifact never changes.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from service.artifacts import ArtifactStore
from service.db import migrate
from service.db.session import Database
from service.db.tables import Artifact
from service.errors import ArtifactError
from service.operations import rows
from service.operations.archive import (
    MANIFEST,
    Manifest,
    OnStep,
    TableEntry,
    artifact_member,
    new_archive,
    new_member,
    table_member,
    verify,
)
from service.settings import Settings
from service.version import VERSION

NAMED = 3


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was written; ``damaged`` are the artifacts that it lacks."""

    manifest: Manifest
    bytes: int
    damaged: list[str]


def back_up(settings: Settings, path: Path, on_step: OnStep, *, skip_damaged: bool = False) -> Backup:
    """Write a backup to ``path`` and read it back; the database must have this version's schema.

    Raises:
        InvalidError: there is such a file already.
        ArtifactError: artifacts of the database are gone or damaged, and ``skip_damaged`` is not set.
        StorageFullError: the disk is full.
    """
    database, store = Database(settings.database, must_exist=True), ArtifactStore(settings.artifacts)
    try:
        with new_archive(path) as archive:
            with _snapshot(database) as connection:
                tables = _write_tables(archive, connection, on_step)
                named = set(connection.scalars(sa.select(Artifact.sha256)))
                schema = migrate.revision_of(connection)
            artifacts, damaged = _write_artifacts(archive, store, named, on_step)
            if damaged and not skip_damaged:
                raise ArtifactError(_words(damaged))
            manifest = Manifest(
                netwright=VERSION,
                schema_version=schema or "",
                database=database.url.get_backend_name(),
                created_at=datetime.now(UTC),
                tables=tables,
                artifacts=artifacts,
            )
            with new_member(archive, MANIFEST, compress=True) as member:
                member.write(manifest.model_dump_json(indent=1).encode())
    finally:
        database.dispose()
    return Backup(verify(path, on_step), path.stat().st_size, damaged)


@contextmanager
def _snapshot(database: Database) -> Iterator[sa.Connection]:
    """A connection that sees one state of the database; neither kind of database lets it wait for writers."""
    with database.engine.connect() as connection:
        if not database.is_sqlite:
            connection = connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        yield connection


def _write_tables(archive: zipfile.ZipFile, connection: sa.Connection, on_step: OnStep) -> list[TableEntry]:
    tables = rows.find_tables(connection)
    total = sum(rows.count_rows(connection, table) for table in tables)
    done = 0
    entries = []
    for table in tables:
        count = 0
        with new_member(archive, table_member(table.name), compress=True) as member:
            for line in rows.lines(connection, table):
                member.write(line)
                count += 1
                on_step("back up rows", done + count, total)
        done += count
        entries.append(
            TableEntry(
                name=table.name,
                columns=table.columns.keys(),
                rows=count,
                bytes=member.bytes,
                sha256=member.sha256,
            )
        )
    return entries


def _write_artifacts(
    archive: zipfile.ZipFile, store: ArtifactStore, named: set[str], on_step: OnStep
) -> tuple[dict[str, int], list[str]]:
    """Bytes of each artifact that was written by its hash, and those of the database that are gone or damaged."""
    hashes = store.hashes()
    damaged = sorted(named - set(hashes))
    written: dict[str, int] = {}
    for number, sha256 in enumerate(hashes, 1):
        if store.is_whole(sha256):
            with new_member(archive, artifact_member(sha256), compress=False) as member:
                for chunk in store.stream(sha256):
                    member.write(chunk)
            written[sha256] = member.bytes
        elif sha256 in named:
            damaged.append(sha256)
        on_step("back up artifacts", number, len(hashes))
    return written, damaged


def _words(damaged: list[str]) -> str:
    more = f" and {len(damaged) - NAMED} more" if len(damaged) > NAMED else ""
    return (
        f"artifacts of the database are gone or damaged: {', '.join(damaged[:NAMED])}{more}; "
        "`netwright backup --skip-damaged` backs up the rest"
    )
