"""Taking over from dead workers."""

from __future__ import annotations

import logging
import os
import platform
from pathlib import Path

from sqlalchemy.orm import Session

from service.db.session import Database
from service.db.tables import Job, Lease, Worker
from service.runtime import job_queries, parts
from service.runtime.clock import Watch
from service.settings import Settings
from supernets.words import counted

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
    """Put the jobs of a dead worker back into the queue; in one transaction, so that it happens once."""
    with database.write() as session:
        for found in job_queries.jobs_of_worker(session, dead.id):
            job = job_queries.locked_job(session, found.id)
            if job is not None and job.worker_id == dead.id:
                job.deaths += not dead.stopping
                give_back(session, job, max_attempts)
        parts.end_leases(session, Lease.worker_id == dead.id)
        job_queries.retire_worker(session, dead.id)


def give_back(session: Session, job: Job, max_attempts: int) -> None:
    """Queue a job again that its worker lost, or end it where it is to be cancelled or has cost too many workers."""
    if job.state in job_queries.FINAL:
        return
    job.worker_id = None
    if job.state == "cancelling":
        job_queries.set_state(session, job, "cancelled")
    elif job.deaths >= max_attempts:
        message = f"{counted(job.deaths, 'worker')} died on the same step; POST /v1/jobs/{job.id}:resume tries again"
        job_queries.set_state(session, job, "failed", error=(PARKED, message))
    elif job.state != "queued":
        job_queries.set_state(session, job, "queued")
