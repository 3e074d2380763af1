"""Job: fine-tune a subnet."""

from __future__ import annotations

from sqlalchemy.orm import Session

from service.artifacts import own_artifact
from service.db import queries
from service.db.tables import FineTune, Subnet, Supernet
from service.runtime.context import WorkContext
from service.supernets.bench import bench_of
from service.training import finetune_tasks
from service.training.finetune_schemas import FineTuneParams
from service.training.finetune_tasks import FineTuned, FineTuneIn
from supernets.training.change import ChangeRecord
from supernets.words import counted


async def run(job: WorkContext) -> None:
    """One step, which resumes from its own last checkpoint when the worker is killed in it."""
    settings = job.settings
    with job.read() as session:
        row = queries.get(session, job.project, FineTune, job.parameters(FineTuneParams).finetune)
        subnet = queries.get(session, job.project, Subnet, row.subnet_id)
        supernet = queries.get(session, job.project, Supernet, subnet.supernet_id)
        session.expunge_all()
    request = FineTuneIn(
        bench=bench_of(settings, supernet),
        arch=subnet.arch,
        data=row.data,
        recipe=row.recipe,
        seed=row.seed,
        run_dir=str(settings.home.resolve() / "trainings" / job.id),
        device=settings.device,
    )

    def store(session: Session, result: FineTuned) -> FineTuned:
        made = queries.get(session, job.project, FineTune, row.id)
        made.sha256, made.bytes = result.weights.sha256, result.weights.bytes
        made.record = result.record
        name = f"{supernet.name}-{subnet.arch_id}-{row.id}.safetensors"
        own_artifact(session, job.project, made.sha256, made.bytes, "application/octet-stream", name)
        return result

    steps = int(row.recipe["steps"])
    job.window(0, steps, steps)
    await job.report(f"fine-tuning {subnet.id} for {counted(steps, 'step')}")
    result = await job.step("finetune", finetune_tasks.finetune, request, store)
    change = ChangeRecord.model_validate(result.record["change"])
    job.outcome = f"fine-tuned {subnet.id}: {change.words()}"
