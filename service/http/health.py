"""Whether the service is up, and whether it can work."""

from __future__ import annotations

import shutil

from fastapi import APIRouter
from sqlalchemy.exc import SQLAlchemyError

from service.artifacts import FULL_BELOW, NEARLY_FULL_BELOW
from service.db import migrate
from service.errors import StorageFullError, UnavailableError
from service.http.deps import App
from service.http.health_schemas import Health, Readiness
from service.runtime import job_queries
from service.version import VERSION

router = APIRouter(tags=["health"])


@router.get("/healthz")
def healthz() -> Health:
    """The process answers."""
    return Health(status="ok", version=VERSION)


@router.get("/readyz")
def readyz(app: App) -> Readiness:
    """The database answers and has this version's schema, and the disk has room; with workers and queue."""
    database = app.database
    try:
        revision, newest = migrate.current(database), migrate.newest()
        if revision != newest:
            raise UnavailableError(
                f"the database has schema {revision}, {newest} is needed: run netwright migrate"
            )
        with database.read() as session:
            workers = len(job_queries.living_workers(session, app.settings.worker_timeout_s))
            oldest = job_queries.oldest_queued(session)
            queued_for_s = (job_queries.database_now(session) - oldest).total_seconds() if oldest else 0.0
    except SQLAlchemyError as error:
        raise UnavailableError("the database does not answer") from error
    free = shutil.disk_usage(app.settings.home).free
    if free < FULL_BELOW:
        raise StorageFullError(f"the disk of NETWRIGHT_HOME is full: {free / 1e6:.1f} MB are free")
    return Readiness(
        status="ok",
        database=database.url.get_backend_name(),
        schema_version=revision,
        workers=workers,
        queued_for_s=max(queued_for_s, 0.0),
        disk_free_mb=free / 1e6,
        disk="ok" if free >= NEARLY_FULL_BELOW else "nearly_full",
    )
