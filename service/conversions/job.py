"""Job: convert a network, train its subnets with the original as the teacher, and register the supernet."""

from __future__ import annotations

from sqlalchemy.orm import Session

from service.conversions import tasks
from service.conversions.tasks import CardIn, CardOut, ConvertIn, ConvertOut, ConvertParams
from service.runtime import job_queries
from service.runtime.context import WorkContext
from service.runtime.task import StepData
from service.supernets.bench import StoredFile
from service.supernets.checkpoints import add_supernet
from service.training import tasks as training_tasks
from service.training.tasks import Trained, TrainIn, TrainParams
from supernets.manifest import Manifest
from supernets.records import ResolvedTraining


class Registered(StepData):
    """The id of the registered supernet."""

    supernet: str


async def run(job: WorkContext) -> None:
    """Two steps: what was converted is kept, and a training resumes from its own last checkpoint."""
    settings, params = job.settings, job.parameters(ConvertParams)
    folder = settings.home.resolve() / "trainings" / job.id
    data_dir = str(settings.data.resolve()) if settings.data is not None else None
    job.window(0, 1, 10)
    await job.report(f"converting {params.name}")
    found = await job.step(
        "convert",
        tasks.convert,
        ConvertIn(
            params=params,
            artifacts=settings.artifacts,
            data_dir=data_dir,
            run_dir=str(folder),
            threads=settings.threads,
        ),
    )
    job.window(1, 10, 10)
    if found.training is None:
        request = CardIn(
            files=found.files,
            data=params.data,
            artifacts=settings.artifacts,
            data_dir=data_dir,
            run_dir=str(folder),
            threads=settings.threads,
            device=settings.device,
        )

        def keep(session: Session, result: CardOut) -> Registered:
            return _register(session, job, params.name, result.files, result.manifest)

        made = await job.step("card", tasks.card, request, keep)
        job.outcome = f"converted {params.name}, {_words(found)}; it is {made.supernet}"
        return
    made = await _train(job, params, found, found.training, str(folder), data_dir)
    job.outcome = f"converted and trained {params.name}, {_words(found)}; it is {made.supernet}"


async def _train(
    job: WorkContext,
    params: ConvertParams,
    found: ConvertOut,
    training: ResolvedTraining,
    folder: str,
    data_dir: str | None,
) -> Registered:
    """The training job's own step, from the converted weights; the teacher is the network as it came."""
    settings = job.settings
    request = TrainIn(
        params=TrainParams(name=params.name, training=training, source=None, teacher=None),
        source=found.files,
        teacher=found.files if _is_taught(training) else None,
        artifacts=settings.artifacts,
        cache=str(settings.home.resolve() / "cache"),
        data_dir=data_dir,
        run_dir=folder,
        threads=settings.threads,
        device=settings.device,
    )

    def keep(session: Session, result: Trained) -> Registered:
        return _register(session, job, params.name, result.files, result.manifest)

    await job.report(f"training {params.name} for {training.recipe['steps']} steps")
    return await job.step("train", training_tasks.train, request, keep)


def _is_taught(training: ResolvedTraining) -> bool:
    """Whether the recipe waits for a teacher from outside."""
    return training.recipe.get("teacher") == "external"


def _register(
    session: Session, job: WorkContext, name: str, files: dict[str, StoredFile], values: dict[str, object]
) -> Registered:
    stored = {file: entry.model_dump() for file, entry in files.items()}
    row = add_supernet(session, job.project, name, "conversion", Manifest.parse(values), stored)
    mine = job_queries.locked_job(session, job.id)
    assert mine is not None
    mine.resource_type, mine.resource_id = "supernet", row.id
    return Registered(supernet=row.id)


def _words(found: ConvertOut) -> str:
    record = found.found
    return f"{len(record.axes)} axes, {record.subnets:.3g} subnets"
