"""Networks of the user's own as supernets."""

from __future__ import annotations

from fastapi import APIRouter, Response

from service.artifacts import own_artifact
from service.conversions.latency import rough_latencies
from service.conversions.plan import examine, plan_conversion
from service.conversions.pretrained import plan_pretrained
from service.conversions.schemas import (
    ConversionCreate,
    ConversionExamine,
    ConversionView,
    PretrainedCreate,
)
from service.http.deps import App, Project
from service.http.files import MEDIA_TYPE
from service.http.jobs.views import accepted
from service.http.schemas import Accepted
from service.runtime import job_queries
from service.supernets.checkpoints import require_free

router = APIRouter(prefix="/v1", tags=["conversions"])


@router.post("/conversions", status_code=202)
def create_conversion(app: App, project: Project, body: ConversionCreate, response: Response) -> Accepted:
    """Job: make a supernet of a trained network, train it with the original as its teacher, and register it."""
    with app.database.read() as session:
        require_free(session, project, body.name)
    params = plan_conversion(app, project, body)
    with app.database.write() as session:
        require_free(session, project, body.name)
        own_artifact(session, project, params.file.sha256, params.file.bytes, MEDIA_TYPE, f"{body.name}.pt2")
        job = job_queries.create_job(session, project, "convert", params, priority=body.priority)
        job_queries.reserve_name(session, job, body.name)
        response.headers["Location"] = f"/v1/jobs/{job.id}"
        return accepted(job)


@router.post("/conversions:pretrained", status_code=202)
def convert_pretrained(app: App, project: Project, body: PretrainedCreate, response: Response) -> Accepted:
    """Job: make a supernet of the folder of a pretrained transformer, and register it."""
    with app.database.read() as session:
        require_free(session, project, body.name)
    params = plan_pretrained(app, body)
    with app.database.write() as session:
        require_free(session, project, body.name)
        job = job_queries.create_job(session, project, "convert_pretrained", params, priority=body.priority)
        job_queries.reserve_name(session, job, body.name)
        response.headers["Location"] = f"/v1/jobs/{job.id}"
        return accepted(job)


@router.post("/conversions:examine")
def examine_network(app: App, project: Project, body: ConversionExamine) -> ConversionView:
    """What can be removed from a network and what stays, before anything is trained; starts no job."""
    found = examine(app, project, body)
    with app.database.read() as session:
        latency = rough_latencies(session, project, found.costs)
    return ConversionView(**found.model_dump(), latency=latency)
