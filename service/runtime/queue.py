"""The queue: the jobs in state ``queued``, and which of them a worker takes next.

There is no second record. A job is queued by the transaction that writes its row in this state, and taken by the
transaction that writes the worker into it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.orm import Session

from service.db.tables import Job
from service.runtime import job_queries

OCCUPIED = sa.and_(Job.state.in_(("running", "cancelling")), Job.waiting_since.is_(None))
"""Jobs that occupy a worker; those that wait for devices do not."""
# Of an advisory lock on PostgreSQL, where two workers could otherwise both see the last free place of a kind.
LOCK = 0x6E657477


@dataclass(frozen=True)
class Share:
    """What a worker takes: kinds of job, and how many of a kind and of a project all workers together run at once."""

    kinds: Collection[str]
    limits: Mapping[str, int] = field(default_factory=dict)
    of_project: int = 0
    """0 is no limit."""


def has_work(session: Session, worker: str, share: Share, short: bool) -> bool:
    """Whether a worker with a free place may find a job; a read, so that an idle worker does not lock the database."""
    queued = sa.select(Job.id).where(Job.state == "queued", Job.short == short, Job.kind.in_(share.kinds))
    if session.scalar(queued.limit(1)) is not None:
        return True
    return session.scalar(_orphans(worker, short).limit(1)) is not None


def orphans(session: Session, worker: str, short: bool) -> list[Job]:
    """Jobs that are recorded as running in a worker's free place.

    There are none, except where an outage hid from the worker that its claim was committed.
    """
    return [
        job for id in session.scalars(_orphans(worker, short)) if (job := job_queries.locked_job(session, id))
    ]


def _orphans(worker: str, short: bool) -> sa.Select[str]:
    return sa.select(Job.id).where(Job.worker_id == worker, Job.short == short, OCCUPIED)


def claim(session: Session, worker: str, share: Share, short: bool) -> Job | None:
    """Give the next job to a worker; ``None`` if there is none that may run now.

    Higher priority first; of equal priority the project that occupies the fewest workers; then the oldest.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
    full = _full(session, share.limits)
    occupied = (
        sa.select(Job.project_id, sa.func.count().label("jobs"))
        .where(OCCUPIED)
        .group_by(Job.project_id)
        .subquery()
    )
    jobs = sa.func.coalesce(occupied.c.jobs, 0)
    query = (
        sa.select(Job)
        .outerjoin(occupied, occupied.c.project_id == Job.project_id)
        .where(Job.state == "queued", Job.short == short, Job.kind.in_(set(share.kinds) - full))
        .where(jobs < share.of_project if share.of_project else sa.true())
        .order_by(Job.priority.desc(), jobs, Job.created_at, Job.id)
        .limit(1)
        .with_for_update(of=Job, skip_locked=True)
    )
    job = session.scalar(query)
    if job is not None:
        job.worker_id = worker
        job.attempts += 1
        job_queries.set_state(session, job, "running")
    return job


def _full(session: Session, limits: Mapping[str, int]) -> set[str]:
    """Kinds of which as many jobs run as may."""
    if not limits:
        return set()
    query = sa.select(Job.kind, sa.func.count()).where(OCCUPIED, Job.kind.in_(limits)).group_by(Job.kind)
    running = {row[0]: row[1] for row in session.execute(query)}
    return {kind for kind, most in limits.items() if running.get(kind, 0) >= most}


def cancelling(session: Session, jobs: Collection[str]) -> set[str]:
    """Those of these jobs that are to be cancelled."""
    query = sa.select(Job.id).where(Job.id.in_(list(jobs)), Job.state == "cancelling")
    return set(session.scalars(query))
