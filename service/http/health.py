"""Whether the service is up, and whether it can work."""

from __future__ import annotations

from fastapi import APIRouter
from sqlalchemy.exc import SQLAlchemyError

from service.db import migrate
from service.errors import UnavailableError
from service.http.deps import App
from service.http.health_schemas import Health, Readiness
from service.runtime import job_queries
from service.runtime.engine import engine_is_ready
from service.version import VERSION

router = APIRouter(tags=["health"])


@router.get("/healthz")
def healthz() -> Health:
    """The process answers."""
    return Health(status="ok", version=VERSION)


@router.get("/readyz")
def readyz(app: App) -> Readiness:
    """The database answers and has this version's schema; says how many workers are alive."""
    database = app.database
    try:
        revision, wanted = migrate.current(database), migrate.newest()
        if revision != wanted or not engine_is_ready(database):
            raise UnavailableError(
                f"the database has schema {revision}, {wanted} is needed: run netwright migrate"
            )
        with database.read() as session:
            workers = len(job_queries.living_workers(session, app.settings.worker_timeout_s))
    except SQLAlchemyError as error:
        raise UnavailableError("the database does not answer") from error
    name = database.url.get_backend_name()
    return Readiness(status="ok", database=name, schema_version=revision, workers=workers)
