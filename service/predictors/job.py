"""Job: fit a predictor and write its report card."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from predictors import PREDICTORS
from predictors.choice import AUTO
from service.artifacts import own_artifact
from service.db import queries
from service.db.tables import Predictor, Supernet
from service.measurements.rows import bench_of, training_rows
from service.predictors.known import known_rows
from service.runtime.context import WorkContext

Json = dict[str, Any]
MEDIA_TYPE = "application/x-npz"
TASK = "service.predictors.tasks:fit"


async def run(job: WorkContext) -> None:
    """Learns from every row there is when it starts; ``auto`` compares all kinds and keeps the best."""
    with job.read() as session:
        predictor = queries.get(session, job.project, Predictor, job.params["predictor"])
        supernet = queries.get(session, job.project, Supernet, predictor.supernet_id)
        wanted = wanted_model(session, job, supernet, predictor.metric, predictor.target_id, predictor.kind)
        wanted["base"] = job.params.get("base")
        session.expunge_all()

    def store(session: Session, result: Json) -> Json:
        model = result["models"][0]
        own_model(session, job.project, model)
        row = queries.get(session, job.project, Predictor, predictor.id)
        row.version, row.rows, row.report = model["version"], model["rows"], model["report"]
        row.kind = model["kind"]
        plot = (model["report"] or {}).get("plot")
        if plot is not None:
            name = f"{model['metric']}-{model['version'][:12]}.png"
            own_artifact(session, job.project, plot["sha256"], plot["bytes"], "image/png", name)
        return {name: model[name] for name in ("version", "rows", "kind")}

    job.window(0, 100, 100)
    doing = "comparing predictors" if predictor.kind == AUTO else f"fitting {predictor.kind}"
    await job.say(f"{doing} of {predictor.metric} on {len(wanted['values'])} rows")
    payload = {"bench": bench_of(job, supernet), "models": [wanted], "report": True}
    fitted = await job.step("fit", TASK, payload, store)
    job.outcome = f"fitted {fitted['kind']} of {predictor.metric} to {fitted['rows']} rows"


def wanted_model(
    session: Session,
    job: WorkContext,
    supernet: Supernet,
    metric: str,
    target: str | None,
    kind: str,
    version: str | None = None,
) -> Json:
    """What the fitting task needs to know of one model: its rows, and what is known of other targets.

    ``version`` is the model that is fitted anew; kinds that were imported start from what is in it.
    """
    population, values = training_rows(session, job, supernet, metric, target)
    informed = kind == AUTO or PREDICTORS.load(kind).uses_known
    imported = kind != AUTO and PREDICTORS.load(kind).imported
    return {
        "metric": metric,
        "target": target,
        "kind": kind,
        "population": population,
        "values": values,
        "known": known_rows(session, job.project, supernet, metric, target) if informed else [],
        "base": version if imported else None,
    }


def own_model(session: Session, project: str, model: Json) -> None:
    """Let the project read a fitted model."""
    name = f"{model['metric']}-{model['version'][:12]}.npz"
    own_artifact(session, project, model["version"], model["bytes"], MEDIA_TYPE, name)
