"""Job: train a supernet and register it."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from service.db import queries
from service.db.tables import Supernet
from service.runtime import job_queries
from service.runtime.context import WorkContext
from service.supernets.checkpoints import add_supernet
from supernets.manifest import Manifest


async def run(job: WorkContext) -> None:
    """One step, which resumes from its own last checkpoint when the worker is killed in it."""
    settings = job.settings
    payload = {
        **job.params,
        "source": _files(job, "source"),
        "teacher": _files(job, "teacher"),
        "artifacts": settings.artifacts,
        "cache": str(settings.home.resolve() / "cache"),
        "data_dir": str(settings.data.resolve()) if settings.data is not None else None,
        "run_dir": str(settings.home.resolve() / "trainings" / job.id),
        "threads": settings.threads,
        "device": settings.device,
    }

    def store(session: Session, result: dict[str, Any]) -> dict[str, Any]:
        manifest = Manifest.parse(result["manifest"])
        row = add_supernet(session, job.project, job.params["name"], "training", manifest, result["files"])
        mine = job_queries.locked_job(session, job.id)
        assert mine is not None
        mine.resource_type, mine.resource_id = "supernet", row.id
        return {"supernet": row.id}

    steps = job.params["recipe"]["steps"]
    job.window(0, steps, steps)
    await job.say(f"training {job.params['name']} for {steps} steps")
    trained = await job.step("train", "service.training.tasks:train", payload, store)
    job.outcome = f"trained {job.params['name']}, it is {trained['supernet']}"


def _files(job: WorkContext, role: str) -> dict[str, Any] | None:
    """The stored files of the supernet that has this role in the training, if one has."""
    id = job.params.get(role)
    if id is None:
        return None
    with job.read() as session:
        return queries.get(session, job.project, Supernet, id).files
