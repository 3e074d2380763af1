"""Connections: SQLite beside the files of one machine, PostgreSQL for many."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from service.errors import UnavailableError

BUSY_TIMEOUT_MS = 30_000
NETWORK_FILESYSTEMS = (
    "nfs",
    "cifs",
    "smb",
    "fuse.sshfs",
    "fuse.glusterfs",
    "ceph",
    "lustre",
    "afs",
    "fuse.s3fs",
)


class Database:
    """Sessions on one database.

    ``read`` and ``write`` are separate because a SQLite transaction that reads and then writes fails at
    once when another one wrote meanwhile, whatever the timeout: a write takes its lock at the start.
    """

    def __init__(self, url: str) -> None:
        self.url = sa.make_url(url)
        if self.is_sqlite:
            _refuse_network_folder(Path(self.url.database or ""))
        self.engine = sa.create_engine(self.url, pool_pre_ping=not self.is_sqlite)
        if self.is_sqlite:
            sa.event.listen(self.engine, "connect", _prepare_sqlite)
            sa.event.listen(self.engine, "begin", _begin_sqlite)
        self._writer = self.engine.execution_options(netwright_write=True)

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the embedded database."""
        return self.url.get_backend_name() == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session whose changes are thrown away."""
        with Session(self.engine) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that holds the write lock from its first statement and commits at the end."""
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    def dispose(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        f"busy_timeout={BUSY_TIMEOUT_MS}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get("netwright_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _refuse_network_folder(path: Path, mounts: Path = Path("/proc/mounts")) -> None:
    """SQLite's locks do not work on network file systems: refuse rather than corrupt."""
    if not path.name or not mounts.exists():
        return
    best, kind = "", ""
    for line in mounts.read_text().splitlines():
        _, folder, filesystem, *_ = line.split(" ")
        if path.resolve().is_relative_to(folder) and len(folder) >= len(best):
            best, kind = folder, filesystem
    if kind.startswith(NETWORK_FILESYSTEMS):
        raise UnavailableError(
            f"SQLite needs a local file system, but {path} lies on {kind} (mounted at {best}); "
            "set NETWRIGHT_HOME to a local folder or NETWRIGHT_DATABASE_URL to a PostgreSQL database"
        )
