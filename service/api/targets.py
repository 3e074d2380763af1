"""Hardware targets and what is measured on them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from predictors import TARGETS
from predictors.errors import ProtocolError
from service import checkpoints, tables
from service.db import job_queries, queries
from service.db.tables import Measurement, Supernet, Target
from service.deps import App, Page, Project
from service.errors import ConflictError, InvalidError
from service.hardware import is_measurable, make_target
from service.ids import new_id
from service.schemas import common
from service.schemas.targets import MeasurementCreate, MeasurementView, TargetCreate, TargetView
from service.selection import check_archs
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
        return common.Page(items=[target_view(row) for row in rows], next_page_token=token)


@router.post(
    "/v1/targets", status_code=201, responses={200: {"model": TargetView, "description": "It exists already"}}
)
def create_target(app: App, project: Project, body: TargetCreate, response: Response) -> TargetView:
    """Register a hardware target; the same device, runtime and settings under the same name are one target."""
    if body.kind not in TARGETS:
        raise InvalidError("kind", body.kind, list(TARGETS))
    try:
        target = make_target(body.kind, body.settings)
    except ProtocolError as error:
        raise InvalidError("settings", body.settings, str(error), f"settings: {error}") from error
    description = target.describe()
    name = body.name or body.kind
    with app.database.write() as session:
        row = queries.find(session, project, Target, name=name)
        if row is None:
            row = Target(
                id=new_id("tgt"),
                project_id=project,
                name=name,
                kind=body.kind,
                settings=description.get("settings", body.settings),
                description=description,
                fingerprint=target.fingerprint,
                metrics=["latency_ms"],
            )
            session.add(row)
            session.flush()
        elif row.fingerprint != target.fingerprint:
            raise ConflictError(
                f"the target {name!r} ({row.id}) has another device, runtime or settings; give another name"
            )
        else:
            response.status_code = 200
        response.headers["Location"] = f"/v1/targets/{row.id}"
        return target_view(row)


@router.get("/v1/targets/{id}")
def get_target(app: App, project: Project, id: str) -> TargetView:
    """One target."""
    with app.database.read() as session:
        return target_view(queries.get(session, project, Target, id))


@router.post("/v1/targets/{id}/measurements", status_code=202)
def create_measurements(
    app: App, project: Project, id: str, body: MeasurementCreate, response: Response
) -> common.Accepted:
    """Job: measure subnets of a supernet on this target, all interleaved in one run; or take rows as a file."""
    with app.database.read() as session:
        target = queries.get(session, project, Target, id)
        if body.metric not in target.metrics:
            raise InvalidError("metric", body.metric, target.metrics)
        if (body.table is None) != is_measurable(target.kind):
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
        params = {"target": id, **body.model_dump(mode="json")}
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
        rule = "null: nothing can be measured on a target of kind table; bring rows as 'table'"
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
        items = [measurement_view(row, archs[row.subnet_id]) for row in rows]
        return common.Page(items=items, next_page_token=token)
