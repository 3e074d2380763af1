"""Jobs as the API returns them."""

from __future__ import annotations

from sqlalchemy.orm import Session

from service.db.tables import Job
from service.http.jobs.schemas import JobError, JobTime, JobView, Progress, ResourceRef
from service.http.schemas import Accepted, JobBrief
from service.runtime import job_queries
from service.settings import Settings

FOLDERS = {"supernet": "supernets", "search": "searches", "predictor": "predictors", "export": "exports"}


def accepted(job: Job, id: str | None = None) -> Accepted:
    """The answer to a POST that started a job."""
    return Accepted(id=id or job.id, job=JobBrief(id=job.id, kind=job.kind, state=job.state))


def job_view(job: Job, log: list[str] | None = None) -> JobView:
    """A job; ``log`` is left out of lists."""
    resource = None
    if job.resource_type and job.resource_id:
        href = f"/v1/{FOLDERS.get(job.resource_type, job.resource_type + 's')}/{job.resource_id}"
        resource = ResourceRef(type=job.resource_type, id=job.resource_id, href=href)
    error = None
    if job.error_code is not None:
        error = JobError(code=job.error_code, message=job.error_message or "")
    return JobView(
        id=job.id,
        created_at=job.created_at,
        kind=job.kind,
        state=job.state,
        priority=job.priority,
        progress=Progress(done=job.done, total=job.total, eta_s=job.eta_s),
        message=job.message,
        error=error,
        resource=resource,
        result=job.result,
        attempts=job.attempts,
        started_at=job.started_at,
        finished_at=job.finished_at,
        log=log or [],
    )


def job_with_log(session: Session, job: Job, settings: Settings) -> JobView:
    """A job with the last lines of its log, what it waits for, and where its time went."""
    time = JobTime(
        active_s=job_queries.active_seconds(session, job.id),
        waited_for_devices_s=job.waited_s,
        waited_for_machine_s=job_queries.machine_wait_seconds(session, job.id),
    )
    view = job_view(job, job_queries.log_of(session, job.id))
    waiting_for = waiting_reason(session, job, settings.worker_timeout_s)
    return view.model_copy(update={"time": time, "waiting_for": waiting_for})


def waiting_reason(session: Session, job: Job, timeout_s: float) -> str | None:
    """What keeps a job from running, if anything does."""
    if job.state == "running" and job.waiting_since is not None:
        return "devices: agents of its target measure for it"
    if job.state != "queued":
        return None
    if not job_queries.living_workers(session, timeout_s):
        return "a worker: none is running; `netwright worker` starts one"
    before = job_queries.count_before(session, job)
    return f"{before} job{'s' * (before != 1)} before it" if before else None


def state_of(job: Job | None, done: bool) -> str:
    """State of a resource by the job that makes it; ``done`` counts where there is no job."""
    return job.state if job is not None else ("succeeded" if done else "failed")
