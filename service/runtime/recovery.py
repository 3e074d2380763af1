"""Taking over from dead workers: the job engine itself never notices one."""

from __future__ import annotations

import logging
import os
import platform
from pathlib import Path

from sqlalchemy.orm import Session

from service.db.session import Database
from service.db.tables import Job, Worker
from service.runtime import job_queries
from service.runtime.clock import Watch
from service.runtime.engine import queue_of
from service.settings import Settings

log = logging.getLogger("netwright.worker")
PARKED = "parked"


def host_name() -> str:
    """Names the running system and its process numbers, so that a pid means the same to whoever reads it."""
    boot, space = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    if boot.exists() and space.is_symlink():
        return f"{boot.read_text().strip()}/{os.readlink(space)}"
    return (
        f"{platform.node()}/{os.getpid()}"  # unique, as its process numbers mean nothing to other processes
    )


def take_over(database: Database, me: str, settings: Settings, watch: Watch) -> int:
    """Claim every dead worker and put its jobs back into the queue; returns how many workers were dead."""
    with database.read() as session:
        counts = job_queries.heartbeats(session)
        silent = watch.look({id: count for id, count in counts.items() if id != me})
        dead = {worker.id: worker for worker in job_queries.abandoned_workers(session, me, silent)}
        for worker in job_queries.workers_of_host(session, host_name()):
            if worker.id != me and not _runs(worker.pid):
                dead[worker.id] = worker
        session.expunge_all()
    count = 0
    for worker in dead.values():
        with database.write() as session:
            claimed = job_queries.claim_worker(session, worker, me)
        if claimed:
            count += 1
            log.warning("worker %s is dead; its jobs go back into the queue", worker.id)
            _requeue(database, worker, settings.max_attempts)
    return count


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _requeue(database: Database, dead: Worker, max_attempts: int) -> None:
    """Our rows first, then the engine's: if we die between the two, whoever takes over from us repeats it."""
    from dbos import DBOS

    pending = DBOS.list_workflows(executor_id=dead.id, status="PENDING", load_input=False, load_output=False)
    resumable: list[str] = []
    with database.write() as session:
        by_workflow = {workflow.workflow_id: _job_of(session, workflow.workflow_id) for workflow in pending}
        jobs = {job.id: job for job in by_workflow.values() if job is not None}
        jobs.update({job.id: job for job in job_queries.jobs_of_worker(session, dead.id)})
        pending_ids = set(by_workflow)
        for job in jobs.values():
            job.deaths += not dead.stopping
            if _settle(session, job, job.workflow_id in pending_ids, max_attempts):
                resumable.append(job.workflow_id)
    for workflow_id in sorted(pending_ids):
        if workflow_id in resumable:
            # Without the queue's name it would run past the queue's limit.
            DBOS.resume_workflow(workflow_id, queue_name=queue_of(by_workflow[workflow_id]))
        else:
            DBOS.cancel_workflow(workflow_id)
    with database.write() as session:
        job_queries.retire_worker(session, dead.id)


def _job_of(session: Session, workflow_id: str) -> Job | None:
    job = job_queries.job_of_workflow(session, workflow_id)
    return job_queries.locked_job(session, job.id) if job is not None else None


def _settle(session: Session, job: Job, pending: bool, max_attempts: int) -> bool:
    """Decide what becomes of a dead worker's job; true when it is to run again."""
    if job.state in job_queries.FINAL:
        return False
    if job.state == "cancelling":
        job_queries.set_state(session, job, "cancelled")
        return False
    if job.deaths >= max_attempts:
        message = f"{job.deaths} workers died on the same step; POST /v1/jobs/{job.id}:resume tries again"
        job_queries.set_state(session, job, "failed", error=(PARKED, message))
        return False
    if not pending:
        job_queries.set_state(session, job, "failed", error=("internal", "the worker ended without a report"))
        return False
    job.worker_id = None
    if job.state != "queued":
        job_queries.set_state(session, job, "queued")
    return True
