"""Measurements: what is stored, and jobs that measure or import more."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from service.db import queries
from service.db.tables import Measurement, Supernet, Target
from service.devices import hardware
from service.devices.staleness import stale_reason
from service.errors import InvalidError
from service.http import schemas as common
from service.http.deps import App, MetricFilter, Page, Project
from service.http.files import content_of, keep
from service.http.jobs.views import accepted
from service.measurements.queries import scope_of
from service.measurements.schemas import (
    ImportAccepted,
    ImportCreate,
    ImportParams,
    MeasurementCreate,
    MeasurementView,
    MeasureParams,
)
from service.measurements.selection import check_archs
from service.measurements.tables import look
from service.runtime import job_queries
from service.supernets import checkpoints
from service.supernets.queries import archs_of
from service.supernets.tables import TableSpace, space_manifest
from supernets.metrics import METRICS

router = APIRouter(tags=["measurements"])
IMPORTED_KIND = "table"


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
            content = content_of(session, project, app, body.table.file, "table.file")
            columns = look(content, body.table, family)
    with app.database.write() as session:
        if body.table is None:
            params = MeasureParams(target=target.id, **{**body.model_dump(), "supernet": supernet.id})
            job = job_queries.create_job(session, project, "measure", params, priority=body.priority)
        else:
            sha256 = keep(session, project, app.store, content)
            settings = body.table.model_dump(exclude={"file", "archs"})
            rows = ImportParams(
                supernet=supernet.id, target=target.id, file=sha256, archs=columns, **settings
            )
            job = job_queries.create_job(session, project, "import", rows, short=True, priority=body.priority)
        response.headers["Location"] = f"/v1/jobs/{job.id}"
        return accepted(job)


@router.post("/v1/measurements:import", status_code=202)
def import_measurements(app: App, project: Project, body: ImportCreate, response: Response) -> ImportAccepted:
    """Job: import the rows of a file as a target, created with it, and with the space of the rows if requested.

    The file is read and its columns are checked first. Nothing is created if that fails, and nothing is left if the job
    refuses all rows.
    """
    described = hardware.describe(IMPORTED_KIND, body.target.settings)
    with app.database.read() as session:
        content = content_of(session, project, app, body.table.file, "table.file")
        if body.space is None:
            family = checkpoints.family_of(
                queries.given(session, project, Supernet, body.supernet or "", "supernet")
            )
        else:
            table = TableSpace(file=body.table.file, **body.space.model_dump(exclude={"name"}))
            manifest = space_manifest(content, body.space.name, table)
            family = checkpoints.family_of_manifest(manifest)
        columns = look(content, body.table, family)
    created: list[Literal["target", "supernet"]] = []
    with app.database.write() as session:
        sha256 = keep(session, project, app.store, content)
        if body.space is None:
            supernet = queries.given(session, project, Supernet, body.supernet or "", "supernet")
        else:
            supernet, new = checkpoints.register_space(session, project, app.store, manifest)
            created += ["supernet"] if new else []
        target, new = hardware.register(session, project, body.target.name, described)
        created += ["target"] if new else []
        params = ImportParams(
            supernet=supernet.id,
            target=target.id,
            file=sha256,
            archs=columns,
            created=created,
            **body.table.model_dump(exclude={"file", "archs"}),
        )
        job = job_queries.create_job(session, project, "import", params, priority=body.priority)
        response.headers["Location"] = f"/v1/jobs/{job.id}"
        brief = accepted(job).job
        return ImportAccepted(id=job.id, job=brief, target=target.id, supernet=supernet.id)


def _wrong_way(body: MeasurementCreate) -> InvalidError:
    if body.table is None:
        rule = "null: nothing can be measured on a target of kind table; import its rows: netwright targets import"
        return InvalidError("count" if body.count is not None else "archs", body.count, rule)
    rule = "null: rows measured elsewhere are on another scale; make a target of kind table for them"
    return InvalidError("table", body.table.latency, rule)


@router.get("/v1/measurements", tags=["measurements"])
def list_measurements(
    app: App,
    project: Project,
    page: Page,
    metric: MetricFilter,
    supernet: Annotated[str | None, Query()] = None,
    target: Annotated[str | None, Query()] = None,
    split: Annotated[str | None, Query()] = None,
    subnet: Annotated[str | None, Query()] = None,
    job: Annotated[str | None, Query()] = None,
) -> common.Page[MeasurementView]:
    """What was measured and evaluated, newest first."""
    with app.database.read() as session:
        supernet = queries.filter_id(session, project, Supernet, supernet, "supernet")
        target = queries.filter_id(session, project, Target, target, "target")
        rows, token = queries.page(
            session,
            project,
            Measurement,
            size=page.size,
            token=page.token,
            supernet_id=supernet,
            scope=_scope(target, split),
            metric=metric,
            split=split if target is not None else None,
            subnet_id=subnet,
            job_id=job,
        )
        archs = archs_of(session, project, {row.subnet_id for row in rows})
        targets = queries.by_id(session, project, Target, {row.target_id for row in rows if row.target_id})
        items = [
            measurement_view(row, archs[row.subnet_id], targets.get(row.target_id or "")) for row in rows
        ]
        return common.Page(items=items, next_page_token=token)


def _scope(target: str | None, split: str | None) -> str | None:
    """The one indexed column that target and split are filtered by."""
    if target is not None:
        return scope_of(target)
    return None if split is None else f"split:{split}"


def measurement_view(row: Measurement, arch: dict[str, object], target: Target | None) -> MeasurementView:
    """A measurement with the arch that was measured, and the target it was measured on."""
    return MeasurementView(
        id=row.id,
        created_at=row.created_at,
        subnet=row.subnet_id,
        supernet=row.supernet_id,
        arch=arch,
        metric=row.metric,
        unit=METRICS[row.metric].unit,
        target=row.target_id,
        split=row.split,
        value=row.value,
        spread=row.spread,
        n=row.n,
        statistic=row.statistic,
        precision=row.precision,
        protocol_version=row.protocol_version,
        verdict=row.verdict,
        details=row.details,
        stale=None if target is None else stale_reason(target, row.created_at),
        job=row.job_id,
    )
