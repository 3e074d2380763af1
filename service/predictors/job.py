"""Job: fit a predictor and write its report card."""

from __future__ import annotations

from sqlalchemy.orm import Session

from predictors import PREDICTORS
from predictors.choice import AUTO
from service.artifacts import own_artifact
from service.db import queries
from service.db.tables import Predictor, Supernet
from service.measurements.rows import training_rows
from service.predictors import tasks
from service.predictors.queries import source_rows
from service.predictors.tasks import FitIn, FitOut, FittedModel, ModelSpec
from service.runtime.context import WorkContext
from service.runtime.task import StepData
from service.supernets.bench import bench_of
from supernets.words import counted

MEDIA_TYPE = "application/x-npz"


class FitParams(StepData):
    """Parameters of a fitting job; ``base`` is the hash of an imported model."""

    predictor: str
    base: str | None


class Fitted(StepData):
    """What is recorded of a fit."""

    version: str
    rows: int
    kind: str


async def run(job: WorkContext) -> None:
    """Fit to every row there is at the start; ``auto`` compares all kinds and keeps the best."""
    params = job.parameters(FitParams)
    with job.read() as session:
        predictor = queries.get(session, job.project, Predictor, params.predictor)
        supernet = queries.get(session, job.project, Supernet, predictor.supernet_id)
        spec = model_spec(session, job, supernet, predictor.metric, predictor.target_id, predictor.kind)
        session.expunge_all()

    def store(session: Session, result: FitOut) -> Fitted:
        model = result.models[0]
        own_model(session, job.project, model.metric, model.version, model.bytes)
        row = queries.get(session, job.project, Predictor, predictor.id)
        row.version, row.rows, row.report, row.kind = model.version, model.rows, model.report, model.kind
        plot = (model.report or {}).get("plot")
        if plot is not None:
            name = f"{model.metric}-{model.version[:12]}.png"
            own_artifact(session, job.project, plot["sha256"], plot["bytes"], "image/png", name)
        return Fitted(version=model.version, rows=model.rows, kind=model.kind)

    job.window(0, 100, 100)
    doing = "comparing predictors" if predictor.kind == AUTO else f"fitting {predictor.kind}"
    await job.report(f"{doing} of {predictor.metric} on {counted(len(spec.values), 'row')}")
    models = [spec.model_copy(update={"base": params.base})]
    request = FitIn(bench=bench_of(job.settings, supernet), models=models, report=True)
    fitted = await job.step("fit", tasks.fit, request, store)
    job.outcome = f"fitted {fitted.kind} of {predictor.metric} to {counted(fitted.rows, 'row')}"


def model_spec(
    session: Session,
    job: WorkContext,
    supernet: Supernet,
    metric: str,
    target: str | None,
    kind: str,
    version: str | None = None,
) -> ModelSpec:
    """One model to fit: its rows, and rows of other targets for kinds that transfer from them.

    ``version`` is the model that is refitted; imported kinds start from its content.
    """
    rows = training_rows(session, job, supernet, metric, target)
    informed = kind == AUTO or PREDICTORS.load(kind).uses_sources
    imported = kind != AUTO and PREDICTORS.load(kind).imported
    return ModelSpec(
        metric=metric,
        target=target,
        kind=kind,
        population=rows.population,
        values=rows.values,
        errors=rows.errors if any(rows.errors) else [],
        known=source_rows(session, job.project, supernet, metric, target) if informed else [],
        base=version if imported else None,
    )


def own_model(session: Session, project: str, metric: str, version: str, size: int) -> None:
    """Let the project read a fitted model."""
    own_artifact(session, project, version, size, MEDIA_TYPE, f"{metric}-{version[:12]}.npz")


def own_models(session: Session, project: str, models: list[FittedModel]) -> None:
    """Let the project read fitted models."""
    for model in models:
        own_model(session, project, model.metric, model.version, model.bytes)
