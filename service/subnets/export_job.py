"""Job: a subnet as a verified file."""

from __future__ import annotations

from sqlalchemy.orm import Session

from service.artifacts import own_artifact
from service.db import queries
from service.db.tables import Export, Measurement, Subnet, Supernet
from service.runtime.context import WorkContext
from service.subnets import tasks
from service.subnets.schemas import ExportParams
from service.subnets.tasks import Exported, ExportIn, StatedQuality
from service.supernets.bench import bench_of


async def run(job: WorkContext) -> None:
    """Recalibrate, export, compare, store."""
    with job.read() as session:
        export = queries.get(session, job.project, Export, job.parameters(ExportParams).export)
        subnet = queries.get(session, job.project, Subnet, export.subnet_id)
        supernet = queries.get(session, job.project, Supernet, subnet.supernet_id)
        tested = queries.find(session, job.project, Measurement, subnet_id=subnet.id, scope="split:test")
        session.expunge_all()
    request = ExportIn(
        bench=bench_of(job.settings, supernet),
        arch=subnet.arch,
        format=export.format,
        opset=export.opset,
        precision=export.precision,
        batch=None if export.batch == "dynamic" else int(export.batch),
        quality=None if tested is None else _stated(tested),
    )

    def store(session: Session, result: Exported) -> Exported:
        row = queries.get(session, job.project, Export, export.id)
        row.sha256, row.bytes = result.sha256, result.bytes
        row.exporter, row.parity, row.facts = result.exporter, result.parity, dict(result.metadata)
        name = f"{supernet.name}-{subnet.arch_id}.{export.format}"
        own_artifact(session, job.project, result.sha256, result.bytes, "application/octet-stream", name)
        return result

    job.window(0, 3, 3)
    await job.step("export", tasks.export, request, store)
    job.outcome = "exported; the file gives the same outputs as the supernet"
    if export.precision != "fp32":
        job.outcome = f"exported in {export.precision}; the change against fp32 was measured"


def _stated(row: Measurement) -> StatedQuality:
    return StatedQuality(
        metric=row.metric,
        value=row.value,
        standard_error=row.spread,
        n=row.n,
        split=row.split,
        precision=row.precision,
    )
