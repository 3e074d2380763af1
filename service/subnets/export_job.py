"""Job: a subnet as a verified file."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from service.artifacts import own_artifact
from service.db import queries
from service.db.tables import Export, Measurement, Subnet, Supernet
from service.measurements.rows import bench_of
from service.runtime.context import WorkContext

PARITY_IMAGES = 128


async def run(job: WorkContext) -> None:
    """Recalibrate, export, prove, store."""
    with job.read() as session:
        export = queries.get(session, job.project, Export, job.params["export"])
        subnet = queries.get(session, job.project, Subnet, export.subnet_id)
        supernet = queries.get(session, job.project, Supernet, subnet.supernet_id)
        tested = queries.find(session, job.project, Measurement, subnet_id=subnet.id, scope="split:test")
        session.expunge_all()
    quality = None
    if tested is not None:
        quality = {
            "metric": tested.metric,
            "value": tested.value,
            "standard_error": tested.spread,
            "n": tested.n,
        }
        quality |= {"split": tested.split, "precision": tested.precision}
    payload = {
        "bench": bench_of(job, supernet),
        "arch": subnet.arch,
        "format": export.format,
        "opset": export.opset,
        "images": PARITY_IMAGES,
        "quality": quality,
    }

    def store(session: Session, result: dict[str, Any]) -> dict[str, Any]:
        row = queries.get(session, job.project, Export, export.id)
        row.sha256, row.bytes = result["sha256"], result["bytes"]
        row.exporter, row.parity, row.facts = result["exporter"], result["parity"], result["metadata"]
        name = f"{supernet.name}-{subnet.arch_id}.{export.format}"
        own_artifact(session, job.project, row.sha256, row.bytes, "application/octet-stream", name)
        return {"sha256": result["sha256"]}

    job.window(0, 3, 3)
    await job.step("export", "service.subnets.tasks:export", payload, store)
    job.outcome = "exported, and proven equal to the supernet's own answer"
