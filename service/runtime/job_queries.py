"""Every query on jobs, their steps and events, and the workers that do them, by name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.orm import Session, aliased

from service.db.tables import IdempotentRequest, Job, JobEvent, JobStep, ReservedName, Worker, now
from service.errors import ConflictError, WorkerLostError
from service.ids import new_id
from service.runtime.requests import CURRENT_REQUEST

FINAL = ("succeeded", "failed", "cancelled")
MAX_LOG_LINES = 200


# --- jobs ------------------------------------------------------------------------------------------


def create_job(
    session: Session,
    project: str,
    kind: str,
    params: BaseModel | dict[str, object],
    resource: tuple[str, str] | None = None,
    *,
    short: bool = False,
    priority: int = 0,
) -> Job:
    """A queued job: workers see it when the caller's transaction is committed.

    ``short`` jobs take seconds, and do not wait for long ones. Of queued jobs those of higher ``priority`` are taken
    first.
    """
    if isinstance(params, BaseModel):
        params = params.model_dump(mode="json")
    id = new_id("job")
    job = Job(id=id, project_id=project, kind=kind, state="queued", params=params)
    job.short, job.priority = short, priority
    if resource is not None:
        job.resource_type, job.resource_id = resource
    session.add(job)
    session.flush()
    add_event(session, job, "state", {"state": "queued"})
    request = CURRENT_REQUEST.get()
    if request is not None:  # in this transaction, so that the request is known to have queued it
        session.execute(sa.update(IdempotentRequest).where(IdempotentRequest.id == request).values(job_id=id))
    return job


BUSY = ("queued", "running", "cancelling")
NAMED = {"train": "supernet", "convert": "supernet", "convert_pretrained": "supernet"}
"""Kinds of job that make something with a name, and what that is."""


def reserve_name(session: Session, job: Job, name: str) -> None:
    """Take the name of what a job makes, from its acceptance on; see :func:`require_unreserved`."""
    kind = NAMED[job.kind]
    row = require_unreserved(session, job.project_id, kind, name, job.id)
    # Not looked for again: a row that another transaction has written since then must stay a conflict.
    if row is None:
        session.add(ReservedName(project_id=job.project_id, kind=kind, name=name, job_id=job.id))
    else:
        row.job_id = job.id
    session.flush()


def require_unreserved(
    session: Session, project: str, kind: str, name: str, job: str | None = None
) -> ReservedName | None:
    """The locked row of a name, if it has one.

    Raises:
        ConflictError: another job that has not ended will make something of this name.
    """
    row = session.get(ReservedName, (project, kind, name), with_for_update=True)
    holder = session.get(Job, row.job_id) if row is not None and row.job_id != job else None
    if holder is not None and holder.state in BUSY:
        raise ConflictError(
            f"job {holder.id} ({holder.kind}, {holder.state}) makes a {kind} of the name {name!r}; "
            "give another name, or cancel that job"
        )
    return row


def locked_job(session: Session, id: str) -> Job | None:
    """A job, its row held until the transaction ends: so its event ids are in commit order."""
    return session.scalar(sa.select(Job).where(Job.id == id).with_for_update())


def set_state(session: Session, job: Job, state: str, *, error: tuple[str, str] | None = None) -> None:
    """Move a job to a state, with an event."""
    if job.waiting_since is not None:
        job.waited_s += max((now() - job.waiting_since).total_seconds(), 0.0)
    job.state, job.waiting_since = state, None
    if state == "running" and job.started_at is None:
        job.started_at = now()
    job.finished_at = now() if state in FINAL else None
    if state in FINAL or state == "queued":
        job.eta_s = None
    job.error_code, job.error_message = error or (None, None)
    data: dict[str, object] = {"state": state}
    if error is not None:
        data["error"] = {"code": error[0], "message": error[1]}
    add_event(session, job, "state", data)


def rest(job: Job) -> None:
    """A job waits for others: no worker has it, and that costs it no attempt; :func:`wake` queues it again."""
    job.worker_id, job.waiting_since = None, now()
    job.attempts = max(job.attempts - 1, 0)


def wake(session: Session, job: Job) -> None:
    """Queue a waiting job again."""
    set_state(session, job, "queued")


def set_progress(
    session: Session,
    id: str,
    done: int,
    total: int,
    eta_s: float | None,
    message: str | None,
    metrics: Mapping[str, object] | None = None,
) -> None:
    """Record how far a job is; ``metrics`` are stored in the event only."""
    job = locked_job(session, id)
    if job is None or job.state in FINAL:
        return
    job.done, job.total, job.eta_s = done, total, eta_s
    if message is not None:
        job.message = message
    data = {"done": done, "total": total, "eta_s": eta_s, "message": message}
    add_event(session, job, "progress", data if metrics is None else {**data, "metrics": metrics})


def count_before(session: Session, job: Job) -> int:
    """Jobs of the same queue that run or are taken before this one, at most: projects take turns.

    Of its own project those of higher priority, or of the same and older; of each other one as many, and one more.
    """
    running = sa.and_(Job.state.in_(("running", "cancelling")), Job.waiting_since.is_(None))
    older = sa.and_(Job.priority == job.priority, Job.created_at < job.created_at)
    before = sa.or_(Job.project_id != job.project_id, Job.priority > job.priority, older)
    count = sa.select(Job.project_id, sa.func.count()).group_by(Job.project_id)
    count = count.where(Job.short == job.short, Job.id != job.id)
    queued = {row[0]: row[1] for row in session.execute(count.where(Job.state == "queued", before))}
    own = queued.pop(job.project_id, 0)
    others = sum(min(number, own + 1) for number in queued.values())
    return own + others + sum(row[1] for row in session.execute(count.where(running)))


def oldest_queued(session: Session) -> datetime | None:
    """When the job was created that waits longest for a worker."""
    return session.scalar(sa.select(sa.func.min(Job.created_at)).where(Job.state == "queued"))


# --- events ----------------------------------------------------------------------------------------


def add_event(session: Session, job: Job, type: str, data: Mapping[str, object]) -> None:
    """Append an event; its row id orders it among the job's events."""
    session.add(JobEvent(project_id=job.project_id, job_id=job.id, type=type, data=dict(data)))
    session.flush()


def add_log(session: Session, id: str, lines: Sequence[str]) -> None:
    """Append lines to a job's log."""
    job = locked_job(session, id)
    if job is not None:
        for line in lines[-MAX_LOG_LINES:]:
            add_event(session, job, "log", {"line": line})


def events_after(session: Session, cursors: Mapping[str, int], limit: int = 1000) -> list[JobEvent]:
    """Events of several jobs, each after its cursor, in the order of their ids."""
    if not cursors:
        return []
    newer = [sa.and_(JobEvent.job_id == job, JobEvent.id > after) for job, after in cursors.items()]
    return list(session.scalars(sa.select(JobEvent).where(sa.or_(*newer)).order_by(JobEvent.id).limit(limit)))


def finished_among(session: Session, jobs: Iterable[str]) -> set[str]:
    """Those of these jobs that have ended."""
    return set(session.scalars(sa.select(Job.id).where(Job.id.in_(list(jobs)), Job.state.in_(FINAL))))


def log_of(session: Session, job: str, limit: int = MAX_LOG_LINES) -> list[str]:
    """The last lines of a job's log, oldest first."""
    query = sa.select(JobEvent.data).where(JobEvent.job_id == job, JobEvent.type == "log")
    rows = list(session.scalars(query.order_by(JobEvent.id.desc()).limit(limit)))
    return [str(data.get("line", "")) for data in reversed(rows)]


# --- steps -----------------------------------------------------------------------------------------


def begin_step(session: Session, job: Job, step: str, worker: str) -> JobStep:
    """Record that a worker starts a step; a finished step is returned instead of begun again."""
    done = finished_step(session, job.project_id, job.id, step)
    if done is not None:
        return done
    query = sa.select(sa.func.coalesce(sa.func.max(JobStep.execution), 0)).where(
        JobStep.project_id == job.project_id, JobStep.job_id == job.id, JobStep.step == step
    )
    row = JobStep(
        id=new_id("stp"),
        project_id=job.project_id,
        job_id=job.id,
        step=step,
        execution=(session.scalar(query) or 0) + 1,
        worker_id=worker,
    )
    session.add(row)
    add_event(session, job, "step", {"step": step, "state": "started"})
    return row


def finish_step(session: Session, job: Job, row_id: str, result: dict[str, object]) -> None:
    """Record what a step returned, in the transaction that writes its rows."""
    row = session.get_one(JobStep, row_id)
    row.result, row.finished_at = result, now()
    job.deaths = 0
    add_event(session, job, "step", {"step": row.step, "state": "finished"})


def active_seconds(session: Session, job: str) -> float:
    """Seconds for which living workers were at the steps of a job, without waiting for a busy machine."""
    query = sa.select(sa.func.coalesce(sa.func.sum(JobStep.active_s), 0.0)).where(JobStep.job_id == job)
    return float(session.execute(query).scalar_one())


def machine_wait_seconds(session: Session, job: str) -> float:
    """Seconds for which the steps of a job waited for a busy machine."""
    query = sa.select(sa.func.coalesce(sa.func.sum(JobStep.waited_s), 0.0)).where(JobStep.job_id == job)
    return float(session.execute(query).scalar_one())


def steps_of(session: Session, job: str) -> list[JobStep]:
    """Every execution of every step of a job, in order."""
    query = sa.select(JobStep).where(JobStep.job_id == job)
    return list(session.scalars(query.order_by(JobStep.created_at, JobStep.execution)))


# --- workers ---------------------------------------------------------------------------------------


def database_now(session: Session) -> datetime:
    """This moment by the clock that all users of the database share."""
    if session.get_bind().dialect.name == "sqlite":
        return now()  # one machine
    moment: datetime = session.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
    return moment


def register_worker(session: Session, id: str, host: str, pid: int) -> None:
    """The first heartbeat of a worker."""
    session.add(Worker(id=id, host=host, pid=pid, heartbeat_at=database_now(session)))


def beat(session: Session, id: str) -> bool:
    """A heartbeat; false when another worker has taken this one's jobs."""
    query = (
        sa.update(Worker)
        .where(Worker.id == id, Worker.state == "alive")
        .values(heartbeats=Worker.heartbeats + 1, heartbeat_at=database_now(session))
    )
    return bool(session.execute(query).rowcount)  # type: ignore[attr-defined]


def require_alive(session: Session, id: str) -> None:
    """Raise :class:`WorkerLostError` unless this worker still has its jobs; holds them until the commit."""
    state = session.scalar(sa.select(Worker.state).where(Worker.id == id).with_for_update())
    if state != "alive":
        raise WorkerLostError(f"worker {id} was declared dead (its row has state {state})")


def heartbeats(session: Session) -> dict[str, int]:
    """How many heartbeats each worker has sent that is not gone."""
    query = sa.select(Worker.id, Worker.heartbeats).where(Worker.state != "gone")
    return {row.id: row.heartbeats for row in session.execute(query)}


def abandoned_workers(session: Session, me: str, silent: Collection[str]) -> list[Worker]:
    """Workers to take over: silent or stopping ones, and ones whose taker died before it was done."""
    taker = aliased(Worker)
    taker_works = sa.exists().where(
        taker.id == Worker.claimed_by,
        taker.state == "alive",
        sa.not_(taker.stopping),
        taker.id.not_in(silent),
    )
    query = sa.select(Worker).where(
        Worker.id != me,
        sa.or_(
            sa.and_(Worker.state == "alive", sa.or_(Worker.stopping, Worker.id.in_(silent))),
            sa.and_(Worker.state == "claimed", sa.or_(Worker.claimed_by == me, ~taker_works)),
        ),
    )
    return list(session.scalars(query))


def living_workers(session: Session, timeout_s: float) -> list[Worker]:
    """Workers with a recent heartbeat, by the clock of the database."""
    deadline = database_now(session) - timedelta(seconds=timeout_s)
    query = sa.select(Worker).where(
        Worker.state == "alive", sa.not_(Worker.stopping), Worker.heartbeat_at >= deadline
    )
    return list(session.scalars(query))


def workers_of_host(session: Session, host: str) -> list[Worker]:
    """Workers on a host that have not been taken over."""
    return list(session.scalars(sa.select(Worker).where(Worker.state == "alive", Worker.host == host)))


def claim_worker(session: Session, dead: Worker, me: str) -> bool:
    """Take a dead worker's row; false when another worker was faster or it has sent a heartbeat."""
    query = (
        sa.update(Worker)
        .where(
            Worker.id == dead.id,
            Worker.state == dead.state,
            Worker.heartbeats == dead.heartbeats,
            Worker.claimed_by.is_(None) if dead.claimed_by is None else Worker.claimed_by == dead.claimed_by,
        )
        .values(state="claimed", claimed_by=me)
    )
    return bool(session.execute(query).rowcount)  # type: ignore[attr-defined]


def retire_worker(session: Session, id: str) -> None:
    """Everything a dead worker had is taken care of."""
    session.execute(sa.update(Worker).where(Worker.id == id).values(state="gone"))


def jobs_of_worker(session: Session, worker: str) -> list[Job]:
    """The unfinished jobs that a worker has."""
    return list(session.scalars(sa.select(Job).where(Job.worker_id == worker, Job.state.not_in(FINAL))))


def stop_worker(session: Session, id: str) -> None:
    """A worker that ends on purpose is taken over at once; that is no failed attempt of its jobs."""
    for job in jobs_of_worker(session, id):
        job.attempts = max(job.attempts - 1, 0)
    session.execute(sa.update(Worker).where(Worker.id == id, Worker.state == "alive").values(stopping=True))


def finished_step(session: Session, project: str, job: str, step: str) -> JobStep | None:
    """The finished execution of a step, if there is one."""
    query = sa.select(JobStep).where(
        JobStep.project_id == project,
        JobStep.job_id == job,
        JobStep.step == step,
        JobStep.finished_at.is_not(None),
    )
    return session.scalars(query.limit(1)).first()


def of_state(job_id: Any, state: str) -> sa.ColumnElement[bool]:
    """Rows whose job is in this state; ``job_id`` is their column."""
    condition: sa.ColumnElement[bool] = job_id.in_(sa.select(Job.id).where(Job.state == state))
    return condition
