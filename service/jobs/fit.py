"""Job: fit a predictor and write its report card."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from service.db import queries
from service.db.tables import Predictor, Supernet
from service.jobs.rows import bench_of, training_rows
from service.jobs.run import JobRun

MEDIA_TYPE = "application/x-npz"


async def run(job: JobRun) -> None:
    """Learns from every row there is when it starts."""
    with job.read() as session:
        predictor = queries.get(session, job.project, Predictor, job.params["predictor"])
        supernet = queries.get(session, job.project, Supernet, predictor.supernet_id)
        population, values = training_rows(session, job, supernet, predictor.metric, predictor.target_id)
        session.expunge_all()
    wanted = {
        "metric": predictor.metric,
        "target": predictor.target_id,
        "kind": predictor.kind,
        "population": population,
        "values": values,
    }

    def store(session: Session, result: dict[str, Any]) -> dict[str, Any]:
        model = result["models"][0]
        own_model(session, job.project, model)
        row = queries.get(session, job.project, Predictor, predictor.id)
        row.version, row.rows, row.report = model["version"], model["rows"], model["report"]
        return {"version": model["version"], "rows": model["rows"]}

    job.window(0, 1, 1)
    await job.say(f"fitting {predictor.metric} to {len(values)} rows")
    payload = {"bench": bench_of(job, supernet), "models": [wanted], "report": True}
    await job.step("fit", "service.jobs.work:fit", payload, store)


def own_model(session: Session, project: str, model: dict[str, Any]) -> None:
    """Let the project read a fitted model."""
    name = f"{model['metric']}-{model['version'][:12]}.npz"
    queries.own_artifact(session, project, model["version"], model["bytes"], MEDIA_TYPE, name)
