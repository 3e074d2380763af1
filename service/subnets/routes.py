"""Subnets and their verified files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Header, Response
from fastapi.responses import JSONResponse
from sqlalchemy.orm import Session

from service.db import queries
from service.db.tables import Export, Job, Measurement, Subnet, Supernet, Target
from service.errors import ArtifactError, NotExportedError
from service.http import schemas as common
from service.http.deps import App, Project
from service.http.jobs.views import accepted, state_of
from service.http.schemas import Accepted
from service.ids import new_id
from service.measurements.routes import measurement_view
from service.measurements.selection import check_archs
from service.problems import Action
from service.runtime import job_queries
from service.subnets.artifact_routes import send
from service.subnets.checks import check_form, check_weights
from service.subnets.precisions import FULL, fastest_precision
from service.subnets.queries import exports_of, finished_export
from service.subnets.schemas import (
    EvaluateParams,
    EvaluationCreate,
    ExportCreate,
    ExportParams,
    ExportView,
    SubnetView,
)
from service.supernets.checkpoints import family_of, require_network
from service.supernets.datasets import require_images
from service.supernets.images import part_size, validation_images

router = APIRouter(prefix="/v1", tags=["subnets"])
MOST_MEASUREMENTS = 500


@router.get("/subnets/{id}")
def get_subnet(app: App, project: Project, id: str) -> SubnetView:
    """One subnet with its predictions, measurements and exports."""
    with app.database.read() as session:
        row = queries.get(session, project, Subnet, id)
        measured, _ = queries.page(
            session, project, Measurement, size=MOST_MEASUREMENTS, token=None, subnet_id=id
        )
        targets = queries.by_id(session, project, Target, {m.target_id for m in measured if m.target_id})
        return SubnetView(
            id=row.id,
            created_at=row.created_at,
            supernet=row.supernet_id,
            arch_id=row.arch_id,
            arch=row.arch,
            costs=row.costs,
            measurements=[
                measurement_view(each, row.arch, targets.get(each.target_id or "")) for each in measured
            ],
            exports=_export_views(session, project, exports_of(session, project, id)),
        )


@router.post(
    "/subnets/{id}/exports",
    status_code=202,
    response_model=Accepted,
    responses={200: {"model": ExportView, "description": "It is exported like this already"}},
)
def create_export(
    app: App, project: Project, id: str, body: ExportCreate, response: Response
) -> Accepted | JSONResponse:
    """Job: write the subnet to a file and compare its outputs with the supernet's."""
    check_form(body)
    with app.database.read() as session:
        subnet = queries.get(session, project, Subnet, id)
        like = body.model_dump(mode="json", exclude={"finetune", "target"}) | {
            "batch": str(body.batch),
            "finetune_id": body.finetune,
            "precision": _precision(session, project, subnet, body),
        }
        check_weights(session, project, app.settings, subnet, body.finetune)
        licence = queries.get(session, project, Supernet, subnet.supernet_id).licence
        done = finished_export(session, project, id, licence, like)
    # A file that is gone or damaged, or states another licence, is made again.
    whole = done is not None and done.sha256 is not None and app.store.is_whole(done.sha256)
    with app.database.write() as session:
        if whole and done is not None:
            location = {"Location": f"/v1/exports/{done.id}"}
            return JSONResponse(
                _export_views(session, project, [done])[0].model_dump(mode="json"), 200, headers=location
            )
        row = Export(id=new_id("exp"), project_id=project, subnet_id=id, **like)
        job = job_queries.create_job(
            session,
            project,
            "export",
            ExportParams(export=row.id),
            ("export", row.id),
            short=True,
            priority=body.priority,
        )
        row.job_id = job.id
        session.add(row)
        response.headers["Location"] = f"/v1/jobs/{job.id}"
        return accepted(job, row.id)


def _precision(session: Session, project: str, subnet: Subnet, body: ExportCreate) -> str:
    """What was asked for, or what the measurements on the target support."""
    if body.target is None:
        return body.precision or FULL
    target = queries.given(session, project, Target, body.target, "target")
    if body.precision is not None or body.format != "onnx":
        return body.precision or FULL
    return fastest_precision(session, project, subnet.supernet_id, target)


@router.get("/subnets/{id}/onnx", response_class=Response)
def get_onnx(app: App, project: Project, id: str, range: Annotated[str | None, Header()] = None) -> Response:
    """The newest verified ONNX file of a subnet that states its licence of now; 409 names the POST that makes it."""
    with app.database.read() as session:
        row = queries.get(session, project, Subnet, id)
        supernet = queries.get(session, project, Supernet, row.supernet_id)
        like = {"format": "onnx", "precision": "fp32", "finetune_id": None}
        licence = supernet.licence
        export = finished_export(session, project, id, licence, like)
        name = f"{supernet.name}-{row.arch_id}.onnx"
    if export is None or export.sha256 is None:
        terms = "" if licence is None else f" that states licence {licence!r}"
        raise _not_exported(id, f"has no verified ONNX file{terms} yet")
    try:
        return send(app.store, export.sha256, "application/octet-stream", name, range)
    except ArtifactError as error:
        raise _not_exported(id, "has a verified ONNX file that is gone or damaged") from error


def _not_exported(id: str, why: str) -> NotExportedError:
    path = f"/v1/subnets/{id}/exports"
    action = Action(method="POST", path=path, body={"format": "onnx"})
    return NotExportedError(f"subnet {id} {why}: POST {path} makes it", actions=[action])


def _export_views(session: Session, project: str, rows: Sequence[Export]) -> list[ExportView]:
    """Exports and how the jobs that make them are doing."""
    jobs = queries.by_id(session, project, Job, [row.job_id for row in rows if row.job_id])
    return [_export_view(row, jobs.get(row.job_id or "")) for row in rows]


def _export_view(row: Export, job: Job | None) -> ExportView:
    exporter = row.exporter or {}
    return ExportView(
        id=row.id,
        created_at=row.created_at,
        subnet=row.subnet_id,
        format=row.format,
        precision=row.precision,
        opset=row.opset,
        batch=row.batch,
        ir_version=row.ir_version,
        finetune=row.finetune_id,
        state=state_of(job, row.sha256 is not None),
        sha256=row.sha256,
        bytes=row.bytes,
        exporter=exporter.get("exporter"),
        exporter_version=exporter.get("exporter_version"),
        parity=row.parity,
        metadata=row.facts,
        job=row.job_id,
    )


@router.post("/supernets/{id}/evaluations", status_code=202)
def create_evaluations(
    app: App, project: Project, id: str, body: EvaluationCreate, response: Response
) -> common.Accepted:
    """Job: evaluate the quality of subnets on the validation split."""
    with app.database.read() as session:
        supernet = queries.get(session, project, Supernet, id)
        require_network(supernet)
        check_archs(family_of(supernet).space(), body)
        require_images(supernet.name, supernet.data, app.settings)
        if body.images is not None:
            part_size(validation_images(supernet), body.images, "images")
    with app.database.write() as session:
        params = EvaluateParams(supernet=supernet.id, **body.model_dump())
        job = job_queries.create_job(session, project, "evaluate", params, priority=body.priority)
        response.headers["Location"] = f"/v1/jobs/{job.id}"
        return accepted(job)


@router.get("/exports/{id}", tags=["exports"])
def get_export(app: App, project: Project, id: str) -> ExportView:
    """One export."""
    with app.database.read() as session:
        return _export_views(session, project, [queries.get(session, project, Export, id)])[0]
