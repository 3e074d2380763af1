"""The queue: the jobs in state ``queued``, and which of them a worker takes next.

There is no second record. A job is queued by the transaction that writes its row in this state, and taken by the
transaction that writes the worker into it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.orm import Session

from service.db.tables import Job, Lease, Order, Project, now
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

    The project whose turn it is, see :func:`turns`; of its jobs higher priority first, then the oldest.
    """
    lock(session)
    full = _full(session, share.limits)
    projects = full_projects(session, share.of_project)
    query = (
        sa.select(Job)
        .join(Project, Project.id == Job.project_id)
        .where(Job.state == "queued", Job.short == short, Job.kind.in_(set(share.kinds) - full))
        .where(Job.project_id.not_in(projects))
        .order_by(*turns(session), Job.priority.desc(), Job.created_at, Job.id)
        .limit(1)
        .with_for_update(of=Job, skip_locked=True)
    )
    job = session.scalar(query)
    if job is not None:
        job.worker_id = worker
        job.attempts += 1
        job_queries.set_state(session, job, "running")
        serve(session, job.project_id)
    return job


def turns(session: Session) -> tuple[sa.ColumnElement[object], ...]:
    """Sort keys of queries of jobs and their projects: whose turn it is, whatever the priorities of its jobs.

    The project that occupies the fewest workers, by jobs and by parts; of these the one that was served longest ago, or
    never. So no project can keep the others waiting.
    """
    longest_ago = Project.served_at.asc().nulls_first()
    occupied = _occupied(session)
    return (*((sa.case(occupied, value=Project.id, else_=0),) if occupied else ()), longest_ago)


def serve(session: Session, project: str) -> None:
    """Note that a worker has taken something of a project: the others are next."""
    session.execute(sa.update(Project).where(Project.id == project).values(served_at=now()))


def lock(session: Session) -> None:
    """Claims one after another; SQLite has a single writer anyway."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))


def full_projects(session: Session, most: int) -> set[str]:
    """Projects that occupy as many workers as they may, by jobs and by parts of jobs; 0 is no limit."""
    if not most:
        return set()
    return {project for project, workers in _occupied(session).items() if workers >= most}


def _occupied(session: Session) -> Counter[str]:
    """How many workers each project occupies, by jobs and by parts of jobs."""
    occupied = Counter(session.scalars(sa.select(Job.project_id).where(OCCUPIED)))
    return occupied + Counter(
        session.scalars(
            sa.select(Lease.project_id)
            .join(Order, Order.id == Lease.order_id)
            .join(Job, Job.id == Order.job_id)
            .where(Lease.state == "open", Lease.worker_id.is_not(None), Lease.worker_id != Job.worker_id)
        )
    )


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
