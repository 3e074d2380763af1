"""Job: train a supernet and register it."""

from __future__ import annotations

from sqlalchemy.orm import Session

from service.db import queries
from service.db.tables import Supernet
from service.runtime import job_queries
from service.runtime.context import WorkContext
from service.runtime.task import StepData
from service.supernets.bench import StoredFile
from service.supernets.checkpoints import add_supernet
from service.training import tasks
from service.training.tasks import Trained, TrainIn, TrainParams
from supernets.data_facts.report import DataReport
from supernets.manifest import Manifest
from supernets.words import counted


class Registered(StepData):
    """The id of a registered supernet, and the warnings of its data report in words."""

    supernet: str
    warnings: str = ""


async def run(job: WorkContext) -> None:
    """One step, which resumes from its own last checkpoint when the worker is killed in it."""
    settings, params = job.settings, job.parameters(TrainParams)
    request = TrainIn(
        params=params,
        source=_files(job, params.source),
        teacher=_files(job, params.teacher),
        artifacts=settings.artifacts,
        cache=str(settings.home.resolve() / "cache"),
        data_dir=str(settings.data.resolve()) if settings.data is not None else None,
        run_dir=str(settings.home.resolve() / "trainings" / job.id),
        threads=settings.threads,
        device=settings.device,
    )

    def store(session: Session, result: Trained) -> Registered:
        manifest = Manifest.parse(result.manifest)
        files = {name: file.model_dump() for name, file in result.files.items()}
        row = add_supernet(session, job.project, params.name, "training", manifest, files)
        mine = job_queries.locked_job(session, job.id)
        assert mine is not None
        mine.resource_type, mine.resource_id = "supernet", row.id
        return Registered(supernet=row.id, warnings=_warnings(manifest))

    steps = int(str(params.training.recipe["steps"]))
    job.window(0, steps, steps)
    await job.report(f"training {params.name} for {counted(steps, 'step')}")
    trained = await job.step("train", tasks.train, request, store)
    job.outcome = f"trained {params.name}, it is {trained.supernet}{trained.warnings}"


def _files(job: WorkContext, supernet: str | None) -> dict[str, StoredFile] | None:
    """The stored files of a supernet."""
    if supernet is None:
        return None
    with job.read() as session:
        row = queries.get(session, job.project, Supernet, supernet)
        return {name: StoredFile.model_validate(file) for name, file in row.files.items()}


def _warnings(manifest: Manifest) -> str:
    """What may be wrong with the images, for the outcome of the job."""
    stored = manifest.as_json()["report"].get("data")
    if stored is None:
        return ""
    found = DataReport.model_validate(stored).warnings
    return "".join(f"; warning: {problem.message}" for problem in found)
