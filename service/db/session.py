"""Connections: SQLite for one machine, PostgreSQL for many."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from service.errors import ConflictError, DatabaseUnavailableError, StorageFullError, UnavailableError

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


# Seconds, of PostgreSQL: a server that does not answer must be noticed while a client still waits.
CONNECT_TIMEOUT_S, SILENCE_S, POOL_TIMEOUT_S = 5, 10, 15
# SQLSTATE classes and codes that another try may not meet: connection, shutdown, too many clients, deadlock.
PASSING = ("08", "57P", "53300", "40001", "40P01", "55P03")
UNIQUE = ("23505", "SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY")
SQLITE_PASSING = (
    "SQLITE_BUSY",
    "SQLITE_LOCKED",
    "SQLITE_IOERR",
    "SQLITE_CANTOPEN",
    "SQLITE_PROTOCOL",
    "SQLITE_READONLY",
)


class Database:
    """Sessions on one database. Errors of the database are raised as errors of the service, see :func:`translated`.

    ``read`` and ``write`` are separate because a SQLite transaction that reads and then writes fails at
    once when another one wrote meanwhile, whatever the timeout: a write takes its lock at the start.
    """

    def __init__(self, url: str, *, must_exist: bool = False) -> None:
        """``must_exist``: a missing SQLite file is an outage; no empty one is created."""
        self.url = sa.make_url(url)
        if self.is_sqlite:
            _refuse_network_folder(Path(self.url.database or ""))
        settings: dict[str, object] = {"pool_timeout": POOL_TIMEOUT_S}
        if not self.is_sqlite:
            settings |= {"pool_pre_ping": True, "connect_args": POSTGRES}
        self.engine = sa.create_engine(self.url, **settings)
        if self.is_sqlite:
            sa.event.listen(self.engine, "connect", _prepare_sqlite)
            sa.event.listen(self.engine, "begin", _begin_sqlite)
            if must_exist:
                _watch_file(self.engine, Path(self.url.database or ""))
        self._writer = self.engine.execution_options(netwright_write=True)
        if not self.is_sqlite:
            self._repeatable = self.engine.execution_options(isolation_level="REPEATABLE READ")

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the embedded database."""
        return self.url.get_backend_name() == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session whose changes are thrown away."""
        with translated(), Session(self.engine) as session:
            yield session

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """A session for several reads of one state: what others write in the meantime is not seen."""
        engine = self.engine if self.is_sqlite else self._repeatable
        with translated(), Session(engine) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that holds the write lock from its first statement and commits at the end."""
        with translated(), Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    def dispose(self) -> None:
        """Close every connection."""
        self.engine.dispose()


POSTGRES = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "tcp_user_timeout": SILENCE_S * 1000,
    "keepalives_idle": SILENCE_S,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}


@contextmanager
def translated() -> Iterator[None]:
    """Raise what passes, a full disk and a lost race as errors of the service; other errors stay as they are.

    Raises:
        DatabaseUnavailableError: the database does not answer, or gave up this transaction for another one.
        StorageFullError: there is no room to write.
        ConflictError: another transaction has written the same unique key.
    """
    try:
        yield
    except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
        if _code(error) in UNIQUE:
            raise ConflictError(
                "another request has stored the same name at the same time; look at it, and repeat the request"
            ) from error
        if is_full(error):
            raise StorageFullError("the disk of the database is full") from error
        if is_passing(error):
            raise DatabaseUnavailableError(
                "the database does not answer; try again in some seconds"
            ) from error
        raise


def is_full(error: Exception) -> bool:
    """Whether a database error means that there is no room to write."""
    return _code(error) in ("53100", "SQLITE_FULL")


def is_passing(error: Exception) -> bool:
    """Whether the same work may succeed later: no connection, a restart, too many clients, a deadlock."""
    if isinstance(error, sa.exc.TimeoutError):
        return True  # every connection of the pool is in use
    if isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated:
        return True
    code = _code(error)
    if code is None:
        return isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)
    return code.startswith((*PASSING, *SQLITE_PASSING))


def _code(error: Exception) -> str | None:
    """SQLSTATE of PostgreSQL, or the name of a SQLite error; none where no server answered."""
    cause = getattr(error, "orig", error)
    code = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None)
    return code if isinstance(code, str) else None


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        f"busy_timeout={BUSY_TIMEOUT_MS}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _watch_file(engine: sa.Engine, path: Path) -> None:
    """Use only connections to the file that is at ``path`` now.

    A connection goes on with a file that was moved or removed, and what it writes there is lost.
    """

    def connecting(_dialect: object, _record: object, _arguments: object, _options: object) -> None:
        _identity(path)

    def connected(_connection: sqlite3.Connection, record: Any) -> None:
        record.info["file"] = _identity(path)

    def taken(_connection: sqlite3.Connection, record: Any, _proxy: object) -> None:
        try:
            same = record.info["file"] == _identity(path)
        except sqlite3.OperationalError as error:
            raise sa.exc.DisconnectionError(str(error)) from error
        if not same:
            raise sa.exc.DisconnectionError(f"{path} is another file now")

    sa.event.listen(engine, "do_connect", connecting)
    sa.event.listen(engine, "connect", connected)
    sa.event.listen(engine, "checkout", taken)


def _identity(path: Path) -> tuple[int, int]:
    """Device and number of a file; raises what SQLite raises where there is none."""
    try:
        found = path.stat()
    except OSError as error:
        refused = sqlite3.OperationalError("unable to open database file")
        refused.sqlite_errorname = "SQLITE_CANTOPEN"
        raise refused from error
    return found.st_dev, found.st_ino


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
