"""Job: a subnet as a verified file."""

from __future__ import annotations

from sqlalchemy.orm import Session

from service.artifacts import own_artifact
from service.db import queries
from service.db.tables import Export, FineTune, Measurement, Subnet, Supernet
from service.runtime.context import WorkContext
from service.subnets import tasks
from service.subnets.schemas import ExportParams
from service.subnets.tasks import Exported, ExportIn, FineTunedWeights, StatedQuality
from service.supernets.bench import StoredFile, bench_of
from supernets.training.change import ChangeRecord


async def run(job: WorkContext) -> None:
    """Recalibrate, export, compare, store."""
    with job.read() as session:
        export = queries.get(session, job.project, Export, job.parameters(ExportParams).export)
        subnet = queries.get(session, job.project, Subnet, export.subnet_id)
        supernet = queries.get(session, job.project, Supernet, subnet.supernet_id)
        tested = queries.find(session, job.project, Measurement, subnet_id=subnet.id, scope="split:test")
        finetune = None
        if export.finetune_id is not None:
            finetune = queries.get(session, job.project, FineTune, export.finetune_id)
        session.expunge_all()
    request = ExportIn(
        bench=bench_of(job.settings, supernet),
        arch=subnet.arch,
        format=export.format,
        opset=export.opset,
        precision=export.precision,
        batch=None if export.batch == "dynamic" else int(export.batch),
        ir_version=export.ir_version,
        licence=supernet.licence,
        quality=None if tested is None else _stated(tested),
    )
    if finetune is not None:
        request = request.model_copy(update=_of_finetune(finetune))

    def store(session: Session, result: Exported) -> Exported:
        row = queries.get(session, job.project, Export, export.id)
        row.sha256, row.bytes = result.sha256, result.bytes
        row.exporter, row.parity, row.facts = result.exporter, result.parity, dict(result.metadata)
        tuned = "" if finetune is None else f"-{finetune.id}"
        name = f"{supernet.name}-{subnet.arch_id}{tuned}.{export.format}"
        own_artifact(session, job.project, result.sha256, result.bytes, "application/octet-stream", name)
        return result

    job.window(0, 3, 3)
    await job.step("export", tasks.export, request, store)
    source = "supernet" if finetune is None else "fine-tuned subnet"
    job.outcome = f"exported; the file gives the same outputs as the {source}"
    if export.precision != "fp32":
        job.outcome = f"exported in {export.precision}; the change against fp32 was measured"


def _of_finetune(row: FineTune) -> dict[str, object]:
    """The weights of a fine-tune, and the quality that its file states."""
    assert row.sha256 is not None and row.bytes is not None and row.record is not None
    change = ChangeRecord.model_validate(row.record["change"])
    quality = StatedQuality(
        metric=change.metric,
        value=change.after.value,
        standard_error=change.after.standard_error,
        n=change.n,
        split=change.split,
        precision="fp32",
    )
    weights = StoredFile(sha256=row.sha256, bytes=row.bytes)
    return {
        "quality": quality,
        "finetune": FineTunedWeights(weights=weights, data=row.data, record=row.record),
    }


def _stated(row: Measurement) -> StatedQuality:
    return StatedQuality(
        metric=row.metric,
        value=row.value,
        standard_error=row.spread,
        n=row.n,
        split=row.split,
        precision=row.precision,
    )
