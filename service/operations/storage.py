"""Checks of what is stored: folders, disk, artifacts, database."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from service.artifacts import FULL_BELOW, NEARLY_FULL_BELOW, ArtifactStore
from service.db import migrate
from service.db.session import Database
from service.db.used import path_of, used_elsewhere
from service.errors import ServiceError
from service.operations.findings import Finding, Place, error, ok, warning
from service.settings import without_password

MIGRATE = "run netwright migrate"


def folders(place: Place) -> Iterator[Finding]:
    """Whether the home folder can be written, and the folders of data are there."""
    settings = place.settings
    home = settings.home.resolve()
    if not home.exists():
        yield warning("folders", f"the home folder {home} does not exist", f"{MIGRATE}, which makes it")
    else:
        yield _writable(home)
    for name, path in {"NETWRIGHT_IMPORT_DIR": settings.import_dir, "NETWRIGHT_DATA": settings.data}.items():
        if path is not None and not os.access(path, os.R_OK | os.X_OK):
            there = "cannot be read" if path.exists() else "does not exist"
            yield error("folders", f"{name}: {path.resolve()} {there}", f"correct {name} or the folder")
        elif path is not None:
            yield ok("folders", f"{name} {path.resolve()} can be read")


def _writable(home: Path) -> Finding:
    try:
        with tempfile.NamedTemporaryFile(dir=home, prefix=".doctor-"):
            pass
    except OSError as fault:
        reason = f"the home folder {home} cannot be written: {fault.strerror}"
        return error("folders", reason, "give this user the right to write there, or set NETWRIGHT_HOME")
    return ok("folders", f"the home folder {home} can be written")


def disk(place: Place) -> Iterator[Finding]:
    """Room on the disk of the home folder."""
    home = place.settings.home.resolve()
    while not home.exists():
        home = home.parent
    free = shutil.disk_usage(home).free
    words = f"{free / 1e9:.1f} GB are free at {home}"
    if free < FULL_BELOW:
        yield error("disk", words, "make room: nothing can be written")
    elif free < NEARLY_FULL_BELOW:
        yield warning("disk", words, "make room: writes may soon fail")
    else:
        yield ok("disk", words)


def artifacts(place: Place) -> Iterator[Finding]:
    """Whether the artifact store can be written and read."""
    where = without_password(place.settings.artifacts)
    if place.settings.artifacts_url == "" and not place.settings.home.exists():
        return  # the finding on the home folder is enough
    try:
        ArtifactStore(place.settings.artifacts).probe()
    except Exception as fault:  # the libraries of buckets raise errors of many kinds
        yield error(
            "artifacts", f"{where} cannot be used: {fault}", "correct NETWRIGHT_ARTIFACTS_URL or the store"
        )
    else:
        yield ok("artifacts", f"{where} can be written and read")


def database(place: Place) -> Iterator[Finding]:
    """Whether the database answers and has this version's schema; where another one was used before."""
    path = path_of(place.settings.database)
    where = str(path or without_password(place.settings.database))
    if path is not None:
        yield from _elsewhere(path)
    if path is not None and not path.exists():
        yield error("database", f"there is no database at {where}", MIGRATE)
        return
    if place.database is None:
        try:
            Database(place.settings.database)
        except ServiceError as fault:
            yield error("database", str(fault), "set NETWRIGHT_HOME or NETWRIGHT_DATABASE_URL")
        return
    yield _schema(place.database, where)


def _elsewhere(path: Path) -> Iterator[Finding]:
    found = used_elsewhere(path)
    if found and not path.exists():
        yield warning(
            "database",
            f"the database used before is {found[0]}",
            f"NETWRIGHT_HOME={found[0].parent}, if that is the one you mean",
        )


def _schema(database: Database, where: str) -> Finding:
    try:
        have, want = migrate.current(database), migrate.newest()
    except sa.exc.SQLAlchemyError as fault:
        reason = without_password(str(getattr(fault, "orig", None) or fault).strip().replace("\n", " "))
        return error(
            "database", f"{where} does not answer: {reason}", "start it, or correct NETWRIGHT_DATABASE_URL"
        )
    if have is None:
        return error("database", f"{where} is empty", MIGRATE)
    if have != want:
        return error("database", f"{where} has schema {have}, this version needs {want}", MIGRATE)
    return ok("database", f"{where} answers and has schema {have}")
