"""Restore: a backup into an empty database and an artifact store, each of either kind.

Nothing is written before all of the backup has been read and found whole. The rows are written in one transaction,
after the artifacts: an interrupted restore leaves an empty database, and the same command can be repeated.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import sqlalchemy as sa
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from service.artifacts import ArtifactStore
from service.db import migrate
from service.db.session import Database
from service.db.used import path_of, remember
from service.errors import ConflictError
from service.operations import rows
from service.operations.archive import (
    BackupError,
    Manifest,
    OnStep,
    artifact_member,
    chunks_of,
    lines_of,
    open_archive,
    verify,
)
from service.settings import Settings, without_password


def restore(settings: Settings, path: Path, on_step: OnStep) -> Manifest:
    """Load a backup into the database and the artifact store of the settings; returns what it held.

    Raises:
        BackupError: the file is no backup, truncated, changed or of a newer version.
        ConflictError: the database has been used.
        StorageFullError: the disk is full.
    """
    manifest = verify(path, on_step)
    _require_known(path, manifest)
    require_unused(settings)
    settings.home.mkdir(parents=True, exist_ok=True)
    store = ArtifactStore(settings.artifacts)
    with open_archive(path) as (archive, _):
        for number, sha256 in enumerate(manifest.artifacts, 1):
            store.put_chunks(sha256, chunks_of(archive, artifact_member(sha256)))
            on_step("restore artifacts", number, len(manifest.artifacts))
        database = Database(settings.database)
        try:
            migrate.upgrade(database, manifest.schema_version)
            _load(database, archive, manifest, on_step)
            migrate.upgrade(database)
        finally:
            database.dispose()
    file = path_of(settings.database)
    if file is not None:
        remember(file)
    return manifest


def _require_known(path: Path, manifest: Manifest) -> None:
    try:
        ScriptDirectory.from_config(migrate.config()).get_revision(manifest.schema_version)
    except CommandError as error:
        raise BackupError(
            f"{path} was made by Netwright {manifest.netwright} with schema {manifest.schema_version}, "
            f"which this version does not have: restore it with that version or a newer one"
        ) from error


def require_unused(settings: Settings) -> None:
    """Raise :class:`ConflictError` unless the database is absent, empty, or migrated and never used."""
    file = path_of(settings.database)
    if file is not None and not file.exists():
        return
    database = Database(settings.database)
    try:
        with database.engine.connect() as connection:
            used = rows.used_tables(connection)
    finally:
        database.dispose()
    if used:
        raise ConflictError(
            f"a backup is restored only into a database that was never used; "
            f"{file or without_password(settings.database)} has rows in {', '.join(used)}. Name another one by "
            "NETWRIGHT_HOME (SQLite) or NETWRIGHT_DATABASE_URL"
        )


def _load(database: Database, archive: zipfile.ZipFile, manifest: Manifest, on_step: OnStep) -> None:
    """All rows in one transaction."""
    done = 0
    entries = {entry.name: entry for entry in manifest.tables}
    with database.engine.execution_options(netwright_write=True).begin() as connection:
        tables = rows.find_tables(connection)
        for table in reversed(tables):
            connection.execute(sa.delete(table))  # what the migrations put there
        for table in tables:
            entry = entries[table.name]
            for count in rows.load(connection, table, entry.columns, lines_of(archive, entry.member)):
                done += count
                on_step("restore rows", done, manifest.rows)
        rows.advance_sequences(connection, tables)
