"""Hardware targets and what is measured on them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from predictors import TARGETS
from predictors.errors import ProtocolError
from service.db import queries
from service.db.tables import Measurement, Supernet, Target
from service.devices import hardware
from service.devices.leasing import store_references
from service.devices.schemas import MeasurementCreate, MeasurementView, TargetCreate, TargetView
from service.errors import ConflictError, InvalidError
from service.http import schemas as common
from service.http.deps import App, Page, Project
from service.ids import new_id
from service.measurements import tables
from service.measurements.selection import check_archs
from service.runtime import job_queries
from service.supernets import checkpoints
from service.views import accepted, measurement_view, target_view

router = APIRouter(tags=["targets"])


@router.get("/v1/targets")
def list_targets(
    app: App,
    project: Project,
    page: Page,
    name: Annotated[str | None, Query()] = None,
    kind: Annotated[str | None, Query()] = None,
) -> common.Page[TargetView]:
    """Hardware targets, newest first."""
    with app.database.read() as session:
        rows, token = queries.page(
            session, project, Target, size=page.size, token=page.token, name=name, kind=kind
        )
        items = [target_view(session, row, app.settings) for row in rows]
        return common.Page(items=items, next_page_token=token)


@router.post(
    "/v1/targets", status_code=201, responses={200: {"model": TargetView, "description": "It exists already"}}
)
def create_target(app: App, project: Project, body: TargetCreate, response: Response) -> TargetView:
    """Register a hardware target; the same device, runtime and settings under the same name are one target."""
    if body.kind not in TARGETS:
        raise InvalidError("kind", body.kind, list(TARGETS))
    try:
        description, fingerprint = hardware.describe(body.kind, body.settings)
    except ProtocolError as error:
        raise InvalidError("settings", body.settings, str(error), f"settings: {error}") from error
    name = body.name or body.kind
    with app.database.write() as session:
        row = queries.find(session, project, Target, name=name)
        if row is None:
            row = Target(
                id=new_id("tgt"),
                project_id=project,
                name=name,
                kind=body.kind,
                settings=description["settings"],
                description=description,
                fingerprint=fingerprint,
                metrics=hardware.metrics_of(body.kind),
            )
            session.add(row)
            session.flush()
            if hardware.is_remote(body.kind):
                store_references(session, project, app.store)
        elif not hardware.same_target(row.kind, row.description, row.fingerprint, description, fingerprint):
            raise ConflictError(
                f"the target {name!r} ({row.id}) has another device, runtime or settings; give another name"
            )
        else:
            response.status_code = 200
        response.headers["Location"] = f"/v1/targets/{row.id}"
        return target_view(session, row, app.settings)


@router.get("/v1/targets/{id}")
def get_target(app: App, project: Project, id: str) -> TargetView:
    """One target."""
    with app.database.read() as session:
        return target_view(session, queries.get(session, project, Target, id), app.settings)


@router.post("/v1/targets/{id}:refresh")
def refresh_target(app: App, project: Project, id: str) -> TargetView:
    """Start anew with the runtime that is there now: what was measured before is stale from now on.

    The device must be the same; the next run calibrates.
    """
    with app.database.write() as session:
        row = queries.get(session, project, Target, id)
        hardware.refresh(row)
        return target_view(session, row, app.settings)


@router.post("/v1/targets/{id}/measurements", status_code=202)
def create_measurements(
    app: App, project: Project, id: str, body: MeasurementCreate, response: Response
) -> common.Accepted:
    """Job: measure subnets of a supernet on this target, all interleaved in one run; or take rows as a file."""
    with app.database.read() as session:
        target = queries.get(session, project, Target, id)
        for index, metric in enumerate(body.metrics):
            if metric not in target.metrics:
                raise InvalidError(f"metrics.{index}", metric, target.metrics)
        if (body.table is None) != hardware.is_measurable(target.kind):
            raise _wrong_way(body)
        supernet = queries.given(session, project, Supernet, body.supernet, "supernet")
        family = checkpoints.family_of(supernet)
        if body.table is None:
            checkpoints.require_network(supernet)
            check_archs(family.space(), body)
            content = b""
        else:
            content = tables.content_of(session, project, app, body.table.file, "table.file")
            columns = tables.look(content, body.table, family)
    with app.database.write() as session:
        params = {"target": id, "metric": "latency_ms", **body.model_dump(mode="json")}
        if body.table is not None:
            sha256 = tables.keep(session, project, app.store, content)
            params["table"] |= {"file": sha256, "archs": columns}
        kind = "measure" if body.table is None else "import"
        job = job_queries.create_job(session, project, kind, params)
        app.queue.enqueue(session, job)
        response.headers["Location"] = f"/v1/jobs/{job.id}"
        return accepted(job)


def _wrong_way(body: MeasurementCreate) -> InvalidError:
    if body.table is None:
        rule = "null: nothing can be measured on a target of kind table; bring its rows: netwright targets import"
        return InvalidError("count" if body.count is not None else "archs", body.count, rule)
    rule = "null: rows measured elsewhere are on another scale; make a target of kind table for them"
    return InvalidError("table", body.table.latency, rule)


@router.get("/v1/measurements", tags=["measurements"])
def list_measurements(
    app: App,
    project: Project,
    page: Page,
    supernet: Annotated[str | None, Query()] = None,
    target: Annotated[str | None, Query()] = None,
    metric: Annotated[str | None, Query()] = None,
    split: Annotated[str | None, Query()] = None,
    subnet: Annotated[str | None, Query()] = None,
    job: Annotated[str | None, Query()] = None,
) -> common.Page[MeasurementView]:
    """What was measured and evaluated, newest first."""
    with app.database.read() as session:
        rows, token = queries.page(
            session,
            project,
            Measurement,
            size=page.size,
            token=page.token,
            supernet_id=supernet,
            target_id=target,
            metric=metric,
            split=split,
            subnet_id=subnet,
            job_id=job,
        )
        archs = queries.archs_of(session, project, {row.subnet_id for row in rows})
        targets = queries.by_id(session, project, Target, {row.target_id for row in rows if row.target_id})
        items = [
            measurement_view(row, archs[row.subnet_id], targets.get(row.target_id or "")) for row in rows
        ]
        return common.Page(items=items, next_page_token=token)
