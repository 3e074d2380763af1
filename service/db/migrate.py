"""Migrates a database to the newest schema, and reads which one it has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from service.db.queries import ensure_default_project
from service.db.session import Database

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"


def config() -> Config:
    """Alembic's configuration; no file, no logging set-up of its own."""
    settings = Config()
    settings.set_main_option("script_location", str(MIGRATIONS))
    settings.set_main_option("path_separator", "os")
    return settings


def upgrade(database: Database, revision: str = "head") -> None:
    """Apply the migrations that are missing."""
    with _unchecked(database) as connection, connection.begin():
        settings = config()
        settings.attributes["connection"] = connection
        command.upgrade(settings, revision)
        if database.is_sqlite:
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
            assert not broken, f"the migration left {len(broken)} rows that refer to nothing: {broken[:3]}"
    if revision == "head":
        with database.write() as session:
            ensure_default_project(session)


@contextmanager
def _unchecked(database: Database) -> Iterator[sa.Connection]:
    """A connection to change tables with: SQLite changes a column by a new table, while others refer to the old one."""
    with database.engine.execution_options(netwright_write=True).connect() as connection:
        if not database.is_sqlite:
            yield connection
            return
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute("PRAGMA foreign_keys=OFF")  # has no effect in a transaction
        try:
            yield connection
        finally:
            driver.execute("PRAGMA foreign_keys=ON")


def newest() -> str:
    """The newest revision there is."""
    head = ScriptDirectory.from_config(config()).get_current_head()
    assert head is not None
    return head


def current(database: Database) -> str | None:
    """The database's revision; none when it was never migrated, or is a file that is not there."""
    file = database.engine.url.database
    if database.engine.dialect.name == "sqlite" and file is not None and not Path(file).exists():
        return None  # SQLite would make the file, or fail where there is no folder for it
    with database.engine.connect() as connection:
        return revision_of(connection)


def revision_of(connection: sa.Connection) -> str | None:
    """The revision of the database behind a connection."""
    return MigrationContext.configure(connection).get_current_revision()
