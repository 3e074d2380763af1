"""Subnets and their verified files."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Response
from fastapi.responses import JSONResponse

from service.db import queries
from service.db.tables import Export, Measurement, Subnet, Supernet, Target
from service.errors import InvalidError, NotExportedError
from service.http.deps import App, Project
from service.http.schemas import Accepted, Action
from service.ids import new_id
from service.runtime import job_queries
from service.subnets.artifact_routes import send
from service.subnets.schemas import ExportCreate, ExportView, SubnetView
from service.supernets.checkpoints import require_network
from service.supernets.datasets import require_data
from service.views import accepted, export_view, measurement_view
from supernets import EXPORTERS

router = APIRouter(prefix="/v1/subnets", tags=["subnets"])
MOST_MEASUREMENTS = 500


@router.get("/{id}")
def get_subnet(app: App, project: Project, id: str) -> SubnetView:
    """One subnet with everything that is known about it."""
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
            exports=[export_view(session, each) for each in queries.exports_of(session, project, id)],
        )


@router.post(
    "/{id}/exports",
    status_code=202,
    response_model=Accepted,
    responses={200: {"model": ExportView, "description": "It is exported like this already"}},
)
def create_export(
    app: App, project: Project, id: str, body: ExportCreate, response: Response
) -> Accepted | JSONResponse:
    """Job: write the subnet to a file and prove it equal to the supernet's own answer."""
    if body.format not in EXPORTERS:
        raise InvalidError("format", body.format, list(EXPORTERS))
    like = body.model_dump(mode="json")
    with app.database.read() as session:
        subnet = queries.get(session, project, Subnet, id)
        supernet = queries.get(session, project, Supernet, subnet.supernet_id)
        require_network(supernet)
        require_data("subnet", supernet.manifest["data"]["name"], app.settings)
    with app.database.write() as session:
        done = queries.finished_export(session, project, id, **like)
        if done is not None:
            location = {"Location": f"/v1/exports/{done.id}"}
            return JSONResponse(export_view(session, done).model_dump(mode="json"), 200, headers=location)
        row = Export(id=new_id("exp"), project_id=project, subnet_id=id, **like)
        job = job_queries.create_job(session, project, "export", {"export": row.id}, ("export", row.id))
        row.job_id = job.id
        session.add(row)
        app.queue.enqueue(session, job)
        response.headers["Location"] = f"/v1/jobs/{job.id}"
        return accepted(job, row.id)


@router.get("/{id}/onnx", response_class=Response)
def get_onnx(app: App, project: Project, id: str, range: Annotated[str | None, Header()] = None) -> Response:
    """The newest verified ONNX file of a subnet; 409 names the POST that makes it."""
    with app.database.read() as session:
        row = queries.get(session, project, Subnet, id)
        supernet = queries.get(session, project, Supernet, row.supernet_id)
        export = queries.finished_export(session, project, id, format="onnx")
        if export is None or export.sha256 is None:
            path = f"/v1/subnets/{id}/exports"
            raise NotExportedError(
                f"subnet {id} has no verified ONNX file yet: POST {path} makes one",
                actions=[Action(method="POST", path=path, body={"format": "onnx"})],
            )
        name = f"{supernet.name}-{row.arch_id}.onnx"
    return send(app.store, export.sha256, "application/octet-stream", name, range)
