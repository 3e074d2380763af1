"""What an export is refused for before a job is queued."""

from __future__ import annotations

from sqlalchemy.orm import Session

from service.db import queries
from service.db.tables import FineTune, Subnet, Supernet
from service.errors import InvalidError
from service.settings import Settings
from service.subnets.schemas import ExportCreate
from service.supernets.checkpoints import require_network
from service.supernets.datasets import allowed_data, require_data, require_images
from supernets import EXPORTERS


def check_form(body: ExportCreate) -> None:
    """Refuse a format, precision or IR version that do not go together."""
    if body.format not in EXPORTERS:
        raise InvalidError("format", body.format, list(EXPORTERS))
    if body.format != "onnx":
        for field, value, allowed in (
            ("precision", body.precision, "fp32"),
            ("ir_version", body.ir_version, None),
        ):
            if value not in (None, allowed):
                raise InvalidError(field, value, [allowed])
    elif body.ir_version is not None:
        from supernets.export.model_file import ir_versions

        known = ir_versions(body.opset)
        if body.ir_version not in known:
            message = f"ir_version must lie in {known[0]}..{known[-1]} for opset {body.opset}, got {body.ir_version}"
            raise InvalidError("ir_version", body.ir_version, list(known), message)


def check_weights(
    session: Session, project: str, settings: Settings, subnet: Subnet, finetune: str | None
) -> None:
    """Refuse an export whose weights are not there, or whose images are not on this machine."""
    supernet = queries.get(session, project, Supernet, subnet.supernet_id)
    require_network(supernet)
    if finetune is None:
        require_images(supernet.name, supernet.data, settings, "subnet")
        return
    row = queries.given(session, project, FineTune, finetune, "finetune")
    if row.subnet_id != subnet.id or row.sha256 is None:
        got = (
            f"{row.id} is of subnet {row.subnet_id}"
            if row.subnet_id != subnet.id
            else f"{row.id} is not finished"
        )
        raise InvalidError("finetune", finetune, f"a finished fine-tune of {subnet.id}", f"finetune: {got}")
    require_data("finetune", allowed_data(settings, row.data, "finetune"), settings)
