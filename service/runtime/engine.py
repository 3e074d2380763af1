"""The job engine's two sides: processes of the API put work in, workers take it out.

DBOS keeps the queue and the record of what was started in the same database as our rows, so that a job
and its place in the queue are written in one transaction.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from service.db.session import Database
from service.db.tables import Job

if TYPE_CHECKING:
    from dbos import DBOSClient

APPLICATION = "netwright"
# A queued job waits for a worker of its own version, silently and for ever: raise this only when the
# order of the steps of a job changes.
VERSION = "1"
# Jobs that take seconds do not wait behind one that takes hours: a worker runs one of each kind at a time.
QUEUE, SHORT_QUEUE = "netwright.jobs", "netwright.short_jobs"
WORKFLOW = "netwright.job"
CLIENT_POOL = 4


def engine_url(database: Database) -> str:
    """The database's URL as the job engine expects it."""
    return database.url.set(drivername=database.url.get_backend_name()).render_as_string(hide_password=False)


def migrate_engine(database: Database) -> None:
    """Create or upgrade the job engine's own tables."""
    from dbos import DBOS

    logging.getLogger("dbos").setLevel(logging.WARNING)
    DBOS.migrate(engine_url(database))


class Queue:
    """The API's side: it never executes a job, and never needs a worker to answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._opened: DBOSClient | None = None

    @property
    def _client(self) -> DBOSClient:
        if self._opened is None:
            from dbos import DBOSClient

            self._opened = DBOSClient(
                system_database_url=engine_url(self._database),
                application_name=APPLICATION,
                system_database_pool_size=CLIENT_POOL,
                lazy=True,
            )
        return self._opened

    def enqueue(self, session: Session, job: Job) -> None:
        """Put a job into the queue, in the transaction that writes its row."""
        self._client.enqueue_in_transaction(
            session,
            {
                "workflow_name": WORKFLOW,
                "queue_name": queue_of(job),
                "workflow_id": job.workflow_id,
                "app_version": VERSION,
                "application_name": APPLICATION,
            },
            job.id,
        )

    def cancel(self, workflow_id: str) -> None:
        """Stop a job at its next step, or in the middle of one that allows it."""
        self._client.cancel_workflow(workflow_id)

    def close(self) -> None:
        """Close the connections."""
        if self._opened is not None:
            self._opened.destroy()
            self._opened = None


def queue_of(job: Job | None) -> str:
    """The queue of a job: short ones have one of their own."""
    return SHORT_QUEUE if job is not None and job.short else QUEUE


def engine_is_ready(database: Database) -> bool:
    """Whether the job engine's tables are there."""
    schema = None if database.is_sqlite else "dbos"
    return sa.inspect(database.engine).has_table("workflow_status", schema=schema)


def engine_config(database: Database, executor_id: str, log_level: str) -> dict[str, Any]:
    """A worker's settings of the engine; the executor is a new one at each start."""
    return {
        "name": APPLICATION,
        "system_database_url": engine_url(database),
        "application_version": VERSION,
        "executor_id": executor_id,
        "run_migrations": False,
        "log_level": "WARNING" if log_level == "INFO" else log_level,
        "enable_otlp": False,
    }
