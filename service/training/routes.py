"""Training supernets."""

from __future__ import annotations

from fastapi import APIRouter, Response

from service.http.deps import App, Project
from service.http.jobs.views import accepted
from service.http.schemas import Accepted
from service.runtime import job_queries
from service.supernets.checkpoints import require_free
from service.supernets.datasets import report_on
from service.training.estimate import estimate_plan
from service.training.plan import plan_training
from service.training.schemas import EstimateView, TrainingCreate, TrainingEstimate

router = APIRouter(prefix="/v1", tags=["trainings"])


@router.post("/trainings", status_code=202)
def create_training(app: App, project: Project, body: TrainingCreate, response: Response) -> Accepted:
    """Job: train a supernet, from the start or further, and register it under its name."""
    plan = plan_training(app, project, body)
    with app.database.write() as session:
        require_free(session, project, body.name)
        job = job_queries.create_job(
            session, project, "train", plan.params(body.name), priority=body.priority
        )
        job_queries.reserve_name(session, job, body.name)
        response.headers["Location"] = f"/v1/jobs/{job.id}"
        return accepted(job)


@router.post("/trainings:estimate")
def estimate_training(app: App, project: Project, body: TrainingEstimate) -> EstimateView:
    """What a training would cost, estimated without a step or a job; refuses what the training would refuse."""
    if body.name is not None:
        with app.database.read() as session:
            require_free(session, project, body.name)
    plan = plan_training(app, project, body)
    report = report_on(app.settings, plan.training.data)
    if report is not None:
        report.refuse()
    return estimate_plan(plan, report, body.family)
