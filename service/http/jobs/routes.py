"""Jobs of every kind, and their events."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query
from starlette.responses import StreamingResponse

from service.db import queries
from service.db.tables import Job
from service.errors import ConflictError
from service.http import schemas as common
from service.http.deps import App, Page, Project
from service.http.jobs.schemas import JobState, JobUpdate, JobView
from service.http.jobs.views import job_view, job_with_log
from service.runtime import job_queries
from service.runtime.events import LAST_ID, event_id

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


@router.get("")
def list_jobs(
    app: App,
    project: Project,
    page: Page,
    kind: Annotated[str | None, Query()] = None,
    state: Annotated[JobState | None, Query()] = None,
) -> common.Page[JobView]:
    """Jobs, newest first."""
    if kind is not None:
        _ = app.job_kinds[kind]
    with app.database.read() as session:
        rows, token = queries.page(
            session, project, Job, size=page.size, token=page.token, kind=kind, state=state
        )
        return common.Page(items=[job_view(row) for row in rows], next_page_token=token)


@router.get("/{id}")
def get_job(app: App, project: Project, id: str) -> JobView:
    """One job, with the last lines of its log."""
    with app.database.read() as session:
        return job_with_log(session, queries.get(session, project, Job, id), app.settings)


@router.patch("/{id}")
def update_job(app: App, project: Project, id: str, body: JobUpdate) -> JobView:
    """Change the priority of a job: of one that runs it counts when the job is queued again."""
    with app.database.write() as session:
        queries.get(session, project, Job, id)
        job = job_queries.locked_job(session, id)
        assert job is not None
        if job.state in job_queries.FINAL:
            raise ConflictError(
                f"job {id} has ended ({job.state}); the priority of queued and running jobs can be changed"
            )
        job.priority = body.priority
        return job_with_log(session, job, app.settings)


@router.get("/{id}/events", response_class=StreamingResponse)
async def stream_events(
    app: App,
    project: Project,
    id: str,
    after: Annotated[int | None, Query(ge=0, le=LAST_ID, description="Id of the last event seen")] = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Server-sent events: state, progress, step, log; closes after the final state."""
    if after is None and last_event_id is not None:
        after = event_id(last_event_id)
    await app.events.require(project, id)
    stream = app.events.stream(id, after or 0)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


@router.post("/{id}:cancel", status_code=202)
def cancel_job(app: App, project: Project, id: str) -> JobView:
    """Stop a job: at once when it waits, within seconds when it runs."""
    with app.database.write() as session:
        queries.get(session, project, Job, id)
        job = job_queries.locked_job(session, id)
        assert job is not None
        if job.state in job_queries.FINAL:
            raise ConflictError(
                f"job {id} has ended ({job.state}); only queued and running jobs can be cancelled"
            )
        if job.state != "cancelling":
            unowned = job.state == "queued" or job.waiting_since is not None
            job_queries.set_state(session, job, "cancelled" if unowned else "cancelling")
        return job_with_log(session, job, app.settings)


@router.post("/{id}:resume", status_code=202)
def resume_job(app: App, project: Project, id: str) -> JobView:
    """Put a failed or cancelled job back into the queue; it continues after its last finished step."""
    with app.database.write() as session:
        queries.get(session, project, Job, id)
        job = job_queries.locked_job(session, id)
        assert job is not None
        if job.state not in ("failed", "cancelled"):
            raise ConflictError(f"job {id} is {job.state}; only failed and cancelled jobs can be resumed")
        job.attempts, job.deaths, job.worker_id = 0, 0, None
        if job.kind in job_queries.NAMED:
            job_queries.reserve_name(session, job, job.params["name"])
        job_queries.set_state(session, job, "queued")
        return job_with_log(session, job, app.settings)
