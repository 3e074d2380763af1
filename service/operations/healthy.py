"""Whether the service or the worker of this machine is alive: for the health checks of containers."""

from __future__ import annotations

from service.db.session import Database
from service.errors import UnavailableError
from service.operations.network import health
from service.runtime import job_queries
from service.runtime.recovery import host_name
from service.settings import Settings


def require_service(settings: Settings) -> None:
    """Raise :class:`UnavailableError` unless the service of these settings answers."""
    try:
        version = health(settings)
    except (OSError, ValueError) as error:
        raise UnavailableError(f"no service answers at port {settings.port}: {error}") from error
    if version is None:
        raise UnavailableError(f"what answers at port {settings.port} is not Netwright")


def require_worker(settings: Settings) -> None:
    """Raise :class:`UnavailableError` unless a worker of this machine, or container, has a recent heartbeat."""
    database = Database(settings.database, must_exist=True)
    try:
        with database.read() as session:
            living = job_queries.living_workers(session, settings.worker_timeout_s)
            if not any(worker.host == host_name() for worker in living):
                raise UnavailableError("no worker of this machine has a recent heartbeat")
    finally:
        database.dispose()
