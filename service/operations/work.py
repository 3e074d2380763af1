"""Checks of what runs: workers, the queue, clocks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import sqlalchemy as sa

from service.db.tables import Job
from service.operations.findings import Finding, Place, error, ok, warning
from service.runtime import job_queries
from service.runtime.recovery import PARKED

LONG_QUEUED_S, CLOCK_APART_S = 600.0, 2.0


def workers(place: Place) -> Iterator[Finding]:
    """Whether a worker is alive; an error where jobs wait for one."""
    assert place.database is not None
    with place.database.read() as session:
        alive = len(job_queries.living_workers(session, place.settings.worker_timeout_s))
        queued = _jobs(session, Job.state == "queued")
    if alive:
        yield ok("workers", f"{_counted(alive, 'worker')} alive")
    elif queued:
        yield error(
            "workers", f"no worker is alive, and {_counted(queued, 'job')} queued", "netwright worker"
        )
    else:
        yield warning("workers", "no worker is alive: jobs will wait", "netwright worker")


def queue(place: Place) -> Iterator[Finding]:
    """How long jobs wait, and which ones were parked because workers died on them."""
    assert place.database is not None
    with place.database.read() as session:
        now = job_queries.database_now(session)
        oldest = job_queries.oldest_queued(session)
        parked = list(session.scalars(sa.select(Job.id).where(Job.error_code == PARKED).limit(3)))
    waited = (now - oldest).total_seconds() if oldest is not None else 0.0
    if waited > LONG_QUEUED_S:
        yield warning(
            "queue", f"a job has waited for {waited / 60:.0f} min", "start more workers: netwright worker"
        )
    else:
        yield ok("queue", f"the oldest job has waited for {waited:.0f} s" if oldest else "empty")
    if parked:
        yield warning(
            "queue",
            f"workers died on {', '.join(parked)}",
            f"netwright jobs show {parked[0]}, then netwright jobs resume {parked[0]}",
        )


def clock(place: Place) -> Iterator[Finding]:
    """Whether the clocks of this machine and of the database agree."""
    assert place.database is not None
    with place.database.read() as session:
        apart = (datetime.now(UTC) - job_queries.database_now(session)).total_seconds()
    if abs(apart) > CLOCK_APART_S:
        yield warning(
            "clock",
            f"this machine's clock is {abs(apart):.0f} s {'ahead of' if apart > 0 else 'behind'} the database's",
            "set both by NTP: leases and the age of jobs are wrong by as much",
        )
    else:
        yield ok("clock", "this machine and the database agree")


def _jobs(session: sa.orm.Session, condition: sa.ColumnElement[bool]) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(Job).where(condition)) or 0


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'} {'is' if count == 1 else 'are'}"
