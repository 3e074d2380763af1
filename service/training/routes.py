"""Training supernets."""

from __future__ import annotations

from fastapi import APIRouter, Response
from sqlalchemy.orm import Session

from service.db import queries
from service.db.tables import Supernet
from service.errors import ConflictError
from service.http.deps import App, Project
from service.http.job_views import accepted
from service.http.schemas import Accepted
from service.runtime import job_queries
from service.supernets.datasets import report_on
from service.training.plan import PlannedTraining, plan_training, refused
from service.training.schemas import EstimateView, TrainingCreate, TrainingEstimate
from supernets.data_report import DataReport
from supernets.training.sizes import resolution_problems

router = APIRouter(prefix="/v1", tags=["trainings"])
REHEARSED = 1000
"""The most steps that are gone through for an estimate, so that it answers within seconds."""


@router.post("/trainings", status_code=202)
def create_training(app: App, project: Project, body: TrainingCreate, response: Response) -> Accepted:
    """Job: train a supernet, from the start or further, and register it under its name."""
    with app.database.read() as session:
        plan = plan_training(session, project, app.settings, body)
    with app.database.write() as session:
        _require_free(session, project, body.name)
        job = job_queries.create_job(session, project, "train", plan.params(body.name))
        job_queries.reserve_name(session, job, body.name)
        app.queue.enqueue(session, job)
        response.headers["Location"] = f"/v1/jobs/{job.id}"
        return accepted(job)


@router.post("/trainings:estimate")
def estimate_training(app: App, project: Project, body: TrainingEstimate) -> EstimateView:
    """What a training would take, told without a step and without a job; refuses what the training would."""
    with app.database.read() as session:
        if body.name is not None:
            _require_free(session, project, body.name)
        plan = plan_training(session, project, app.settings, body)
    from supernets.training.plan import make_family

    report = report_on(app.settings, plan.training.data)
    if report is not None:
        report.refuse()
    with refused("family", body.family, "a family with settings that make a network"):
        if report is not None:
            report.problems += resolution_problems(report, make_family(plan.training))
        return _estimate(plan, report)


def _require_free(session: Session, project: str, name: str) -> None:
    job_queries.require_unreserved(session, project, "supernet", name)
    if queries.find(session, project, Supernet, name=name) is not None:
        raise ConflictError(f"a supernet is called {name!r} already; give another name")


def _estimate(plan: PlannedTraining, report: DataReport | None) -> EstimateView:
    from supernets.recipes.recipe import Recipe
    from supernets.training.estimate import estimate
    from supernets.training.plan import make_family

    training, facts = plan.training, plan.facts
    family, recipe = make_family(training), Recipe.parse(training.recipe)
    cost = estimate(
        recipe, family, facts, seed=training.seed, external=plan.teacher is not None, at_most=REHEARSED
    )
    space = family.space()
    costs = family.costs(space.encode([space.min(), space.max()]))
    return EstimateView(
        data=training.data,
        data_report=report,
        task=training.task,
        classes=None if facts.classes is None else len(facts.classes),
        train_images=facts.train,
        family=family.name,
        recipe=recipe.name,
        batch_size=recipe.batch_size,
        seed=training.seed,
        params=[float(value) for value in costs["params"]],
        macs=[float(value) for value in costs["macs"]],
        **cost.as_json(),
    )
