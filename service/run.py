"""The three server commands: migrate, work, serve."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

from service.artifacts import ArtifactStore
from service.db import migrate as migration
from service.db.session import Database
from service.db.used import path_of, remember, used_elsewhere
from service.devices.staleness import mark_other_protocols
from service.errors import InvalidError, UnavailableError
from service.hosts import ANY
from service.http.keys import any_key, make_key
from service.ids import DEFAULT_PROJECT
from service.logs import set_up
from service.operations.findings import Place
from service.operations.storage import folders
from service.settings import Settings, is_loopback, without_password

log = logging.getLogger("netwright")
FIRST_KEY = "admin"


def migrate(settings: Settings) -> str:
    """Bring the database to the newest schema; returns its revision."""
    settings.home.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database)
    try:
        migration.upgrade(database)
    finally:
        database.dispose()
    path = path_of(settings.database)
    if path is not None:
        remember(path)
    return migration.newest()


def first_key(settings: Settings) -> str | None:
    """The secret of the first key, made now, where the settings require keys and there is none; else None."""
    if not settings.require_key:
        return None
    database = Database(settings.database)
    try:
        with database.write() as session:
            return None if any_key(session) else make_key(session, DEFAULT_PROJECT, FIRST_KEY, ["admin"])[1]
    finally:
        database.dispose()


def warn_of_folders(settings: Settings) -> None:
    """Log which folders of the settings cannot be used; requests that need them are refused."""
    for finding in folders(Place(settings, None)):
        if finding.status == "error":
            log.warning("%s; %s", finding.message, finding.action)


def worker(settings: Settings) -> None:
    """Take jobs until a signal ends the process; raises :class:`UnavailableError` on an old database."""
    from service.devices.waiting import look_after
    from service.jobs import JOBS
    from service.operations import retention
    from service.runtime.worker import Worker

    set_up(settings.log_level, settings.log_format)
    require_schema(settings)
    warn_of_folders(settings)
    ArtifactStore(settings.artifacts)
    note_protocols(settings)
    retention.every_day(settings)
    Worker(settings, JOBS, look_after).serve()


def serve(settings: Settings) -> None:
    """Answer HTTP until a signal ends the process; raises :class:`UnavailableError` on an old database."""
    import uvicorn

    from service.app import create_app
    from service.http.middleware.protocol import timed_protocol

    set_up(settings.log_level, settings.log_format)
    require_schema(settings)
    warn_of_folders(settings)
    require_private(settings)
    require_free_port(settings)
    note_protocols(settings)
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_level=settings.log_level.lower(),
        access_log=False,
        log_config=None,  # to the log of this process
        timeout_graceful_shutdown=3,
        server_header=False,
        http=timed_protocol(settings.header_timeout_s),
        ws="none",
    )


def require_free_port(settings: Settings) -> None:
    """Raise :class:`UnavailableError` where the service cannot listen."""
    try:
        family, kind, *_, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[
            0
        ]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise UnavailableError(
            f"the service cannot listen at {settings.host}:{settings.port}: {error.strerror}; stop the process that "
            "does, or choose another port (--port, NETWRIGHT_PORT)"
        ) from error


def require_private(settings: Settings) -> None:
    """Raise :class:`InvalidError` for an address or a name that others can use while there is no key."""
    if is_loopback(settings.host) and ANY not in settings.allowed_hosts and not settings.require_key:
        return
    database = Database(settings.database)
    try:
        with database.read() as session:
            if any_key(session):
                return
    finally:
        database.dispose()
    if settings.require_key:
        raise UnavailableError(
            "NETWRIGHT_REQUIRE_KEY is set, and there is no key yet: `netwright migrate` makes the first one and prints "
            "it, `netwright keys create NAME --scope SCOPE` makes others"
        )
    if is_loopback(settings.host):
        raise InvalidError(
            "NETWRIGHT_ALLOWED_HOSTS",
            ANY,
            "names of this machine until there is a key: `netwright keys create`",
        )
    raise InvalidError(
        "NETWRIGHT_HOST",
        settings.host,
        "a loopback address (127.0.0.1, ::1, localhost) until there is a key: `netwright keys create`",
    )


def note_protocols(settings: Settings) -> None:
    """Mark the targets that an older or newer Netwright measured by another version of the protocol."""
    database = Database(settings.database)
    try:
        with database.write() as session:
            count = mark_other_protocols(session)
    finally:
        database.dispose()
    if count:
        log.warning("%d targets were measured by another version of the measuring protocol: stale", count)


def other_database(settings: Settings) -> str | None:
    """The warning where a SQLite database is about to be made although another one was used before; else None."""
    path = path_of(settings.database)
    found = used_elsewhere(path) if path is not None and not path.exists() else []
    if not found:
        return None
    return (
        f"{path} is a new, empty database; the one used before is {found[0]}: for that one set "
        f"NETWRIGHT_HOME={found[0].parent}"
    )


def require_schema(settings: Settings) -> None:
    """Raise :class:`UnavailableError` unless the database exists and has this version's schema."""
    path = path_of(settings.database)
    if path is not None and not path.exists():
        raise UnavailableError(
            f"there is no database at {path}: `netwright migrate` makes one{_elsewhere(path)}"
        )
    database = Database(settings.database)
    try:
        have, want = migration.current(database), migration.newest()
        if have != want:
            where = path or without_password(settings.database)
            has = f"has schema {have}" if have else "is empty"
            raise UnavailableError(
                f"the database {where} {has}, this version needs {want}: run netwright migrate"
            )
    finally:
        database.dispose()


def _elsewhere(path: Path) -> str:
    """Databases that were used before, which may be the one that is meant."""
    found = used_elsewhere(path)
    if not found:
        return ""
    return f"; the one used before is {found[0]}: for that one set NETWRIGHT_HOME={found[0].parent}"
