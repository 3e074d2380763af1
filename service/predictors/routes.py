"""Predictors and their report cards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from sqlalchemy.orm import Session

from predictors import PREDICTORS
from predictors.choice import AUTO, fewest_rows, kinds_for, kinds_that_could
from predictors.errors import FitError, PredictorFileError
from predictors.latency.operators import OperatorTable, read_operators
from predictors.predictor import Predictor as Model
from predictors.quality.imported_mlp import ImportedMlp, read_layers
from predictors.scope import Scope
from service.db import queries
from service.db.counts import count_measured_in
from service.db.removal import remove_predictor
from service.db.tables import Job, Predictor, Supernet, Target
from service.devices.hardware import is_measurable
from service.errors import InvalidError
from service.http import schemas as common
from service.http.deps import App, Archived, MetricFilter, Page, Project, Services
from service.http.files import content_of
from service.http.jobs.views import accepted, state_of
from service.ids import new_id
from service.measurements.queries import learned_scopes
from service.predictors.job import FitParams, own_model
from service.predictors.queries import reasons_stale
from service.predictors.schemas import PredictorCreate, PredictorView
from service.problems import Action
from service.runtime import job_queries
from service.supernets.bench import model_scope
from service.supernets.checkpoints import family_of, manifest_of
from supernets.families.family import Family
from supernets.metrics import LATENCY, METRICS

router = APIRouter(prefix="/v1/predictors", tags=["predictors"])
IMPORTED = {"measured": "operator_table", "evaluated": "imported_mlp"}
IMPORT_RULES = {
    "measured": "a table of operators in once-for-all's layout (YAML) that has every operator of the supernet",
    "evaluated": "a network in once-for-all's layout whose first layer takes the archs of this supernet",
}
LEARNABLE = ("measured", "evaluated")


@router.get("")
def list_predictors(
    app: App,
    project: Project,
    page: Page,
    metric: MetricFilter,
    supernet: Annotated[str | None, Query()] = None,
    target: Annotated[str | None, Query()] = None,
    archived: Archived = False,
) -> common.Page[PredictorView]:
    """Predictors, newest first."""
    with app.database.read() as session:
        supernet = queries.filter_id(session, project, Supernet, supernet, "supernet")
        target = queries.filter_id(session, project, Target, target, "target")
        rows, token = queries.page(
            session,
            project,
            Predictor,
            size=page.size,
            token=page.token,
            supernet_id=supernet,
            target_id=target,
            metric=metric,
            archived=archived,
        )
        return common.Page(items=predictor_views(session, project, rows, brief=True), next_page_token=token)


@router.post("", status_code=202)
def create_predictor(
    app: App, project: Project, body: PredictorCreate, response: Response
) -> common.Accepted:
    """Job: fit a predictor to everything measured so far, and write its report card."""
    kind = _kind(body)
    with app.database.read() as session:
        body = _with_ids(session, project, body)
    base = _import(app, project, body) if body.import_ is not None else None
    with app.database.write() as session:
        supernet = queries.given(session, project, Supernet, body.supernet, "supernet")
        _check_target(session, project, body, supernet)
        if base is None:
            _check_rows(session, project, body, kind)
        else:
            own_model(session, project, body.metric, base["version"], base["bytes"])
        row = Predictor(
            id=new_id("prd"),
            project_id=project,
            supernet_id=body.supernet,
            target_id=body.target,
            metric=body.metric,
            kind=kind,
        )
        params = FitParams(predictor=row.id, base=base["version"] if base is not None else None)
        job = job_queries.create_job(
            session, project, "fit", params, ("predictor", row.id), short=True, priority=body.priority
        )
        row.job_id = job.id
        session.add(row)
        response.headers["Location"] = f"/v1/jobs/{job.id}"
        return accepted(job, row.id)


def _with_ids(session: Session, project: str, body: PredictorCreate) -> PredictorCreate:
    """The request with ids where it has names."""
    supernet = queries.given(session, project, Supernet, body.supernet, "supernet").id
    target = body.target
    if target is not None:
        target = queries.given(session, project, Target, target, "target").id
    return body.model_copy(update={"supernet": supernet, "target": target})


def _kind(body: PredictorCreate) -> str:
    learnable = [name for name, metric in METRICS.items() if metric.source in LEARNABLE]
    if body.metric not in learnable:
        raise InvalidError("metric", body.metric, learnable)
    if body.import_ is not None:
        kind = IMPORTED[METRICS[body.metric].source]
        if body.kind not in (None, kind):
            raise InvalidError("kind", body.kind, f"{kind} or absent, where something is imported")
        return kind
    kind, kinds = body.kind or AUTO, [AUTO, *kinds_for(METRICS[body.metric])]
    if kind not in kinds:
        message = f"kind must be one of {', '.join(kinds)} for {body.metric}, got {kind!r}"
        raise InvalidError("kind", kind, kinds, message)
    return kind


def _import(app: Services, project: str, body: PredictorCreate) -> dict[str, Any]:
    """Read what is imported, make sure that it fits the supernet, and store it; returns ``version`` and ``bytes``."""
    assert body.import_ is not None
    with app.database.read() as session:
        supernet = queries.given(session, project, Supernet, body.supernet, "supernet")
        _check_target(session, project, body, supernet)
        content = content_of(session, project, app, body.import_, "import")
        family, scope = family_of(supernet), model_scope(manifest_of(supernet), body.metric, body.target)
    try:
        model = _imported(content, family, scope)
    except (PredictorFileError, FitError) as error:
        got = body.import_.path or body.import_.sha256 or f"{len(content)} bytes"
        rule = IMPORT_RULES[METRICS[body.metric].source]
        raise InvalidError("import", got, rule, f"import: {error}") from error
    model.adopt()
    dumped = model.dump()
    return {"version": app.store.put(dumped), "bytes": len(dumped)}


def _imported(content: bytes, family: Family, scope: Scope) -> Model:
    if scope.definition.source == "measured":
        return OperatorTable(family, scope, operators=read_operators(content))
    return ImportedMlp(family, scope, layers=read_layers(content))


def _check_target(session: Session, project: str, body: PredictorCreate, supernet: Supernet) -> None:
    if METRICS[body.metric].source == "evaluated":
        if body.target is not None:
            raise InvalidError("target", body.target, f"null: {body.metric} does not depend on a target")
        if body.metric != supernet.quality:
            raise InvalidError("metric", body.metric, *_usable_quality(supernet))
    elif body.target is None:
        raise InvalidError("target", None, f"the id of a target: {body.metric} depends on one")
    else:
        target = queries.given(session, project, Target, body.target, "target")
        if body.metric not in target.metrics:
            raise InvalidError(
                "metric",
                body.metric,
                target.metrics,
                f"metric: {body.metric} cannot be measured on target {target.name!r}, only {', '.join(target.metrics)}",
            )


def _usable_quality(supernet: Supernet) -> tuple[str, str | None]:
    quality = supernet.quality
    if quality in METRICS:
        return quality, None
    only = "a metric of a target"
    return (
        only,
        f"metric must be {only}: {supernet.name!r} is the space of a table, without a quality to predict",
    )


def _check_rows(session: Session, project: str, body: PredictorCreate, kind: str) -> None:
    metric = METRICS[body.metric]
    scopes = learned_scopes(body.target)
    have = count_measured_in(session, project, body.supernet, body.metric, scopes)
    need: int = fewest_rows(metric) if kind == AUTO else PREDICTORS.load(kind).fewest_rows
    if have >= need:
        return
    action = _more_rows(session, project, body)
    could = kinds_that_could(metric, have)
    enough = f"; {have} are enough for {', '.join(could)}" if could else ""
    who = f"a predictor of {body.metric}" if kind == AUTO else kind
    raise InvalidError(
        "metric",
        body.metric,
        f"measured on at least {need} subnets first",
        f"{who} needs {need} subnets with a measured {body.metric}, there are {have}{enough}: "
        f"{action.method} {action.path} adds more",
        actions=[action],
    )


def _more_rows(session: Session, project: str, body: PredictorCreate) -> Action:
    """The request that would add rows: evaluate, measure, or import them where nothing can be measured."""
    if body.target is None:
        path = f"/v1/supernets/{body.supernet}/evaluations"
        return Action(method="POST", path=path, body={"count": 100})
    more: dict[str, object] = {"count": 30}
    if body.metric != LATENCY:
        more["metrics"] = [LATENCY, body.metric]
    if not is_measurable(queries.get(session, project, Target, body.target).kind):
        more = {"table": {"file": {"path": "rows.csv"}, "latency": LATENCY}}
    path = f"/v1/targets/{body.target}/measurements"
    return Action(method="POST", path=path, body={"supernet": body.supernet, **more})


@router.delete("/{id}")
def delete_predictor(app: App, project: Project, id: str) -> common.Removed:
    """Delete a predictor; one that a search used is archived."""
    with app.database.write() as session:
        row = queries.get(session, project, Predictor, id)
        return common.Removed.of(id, remove_predictor(session, row))


@router.get("/{id}")
def get_predictor(app: App, project: Project, id: str) -> PredictorView:
    """One predictor with its report card."""
    with app.database.read() as session:
        return predictor_views(session, project, [queries.get(session, project, Predictor, id)])[0]


LONG = ("points", "worst", "learning_curve")


def predictor_views(
    session: Session, project: str, rows: Sequence[Predictor], *, brief: bool = False
) -> list[PredictorView]:
    """Predictors and how the jobs that fit them are doing; ``brief`` leaves out what is long in their cards."""
    jobs = queries.by_id(session, project, Job, [row.job_id for row in rows if row.job_id])
    stale = reasons_stale(session, rows)
    return [
        _view(row, jobs.get(row.job_id or ""), reason, brief) for row, reason in zip(rows, stale, strict=True)
    ]


def _view(row: Predictor, job: Job | None, stale: str | None, brief: bool) -> PredictorView:
    report = row.report
    if brief and report is not None:
        report = {name: value for name, value in report.items() if name not in LONG}
    return PredictorView(
        id=row.id,
        created_at=row.created_at,
        archived_at=row.archived_at,
        supernet=row.supernet_id,
        target=row.target_id,
        metric=row.metric,
        unit=METRICS[row.metric].unit,
        kind=row.kind,
        state=state_of(job, row.version is not None),
        version=row.version,
        rows=row.rows,
        report=report,
        stale=stale,
        job=row.job_id,
    )
