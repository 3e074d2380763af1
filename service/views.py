"""Rows as the API shows them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from service.db import queries
from service.db.tables import Export, Job, Measurement, Predictor, Search, Supernet, Target, now
from service.devices import lease_queries
from service.devices.hardware import is_measurable
from service.devices.schemas import AgentView, MeasurementView, TargetView
from service.devices.staleness import stale_reason
from service.http.schemas import Accepted, JobBrief
from service.predictors.schemas import PredictorView
from service.predictors.staleness import why_stale
from service.runtime import job_queries
from service.runtime.schemas import JobError, JobView, Progress, ResourceRef
from service.search.schemas import FrontPoint, HistoryPoint, ReferencePoint, SearchView, Spent
from service.settings import Settings
from service.subnets.schemas import ExportView
from service.supernets.checkpoints import family_of
from service.supernets.schemas import SupernetView
from supernets.spaces.metric import METRICS

FOLDERS = {"supernet": "supernets", "search": "searches", "predictor": "predictors", "export": "exports"}


def accepted(job: Job, id: str | None = None) -> Accepted:
    """The answer to a POST that started a job."""
    return Accepted(id=id or job.id, job=JobBrief(id=job.id, kind=job.kind, state=job.state))


def job_view(job: Job, log: list[str] | None = None) -> JobView:
    """A job; ``log`` is left out of lists."""
    resource = None
    if job.resource_type and job.resource_id:
        href = f"/v1/{FOLDERS.get(job.resource_type, job.resource_type + 's')}/{job.resource_id}"
        resource = ResourceRef(type=job.resource_type, id=job.resource_id, href=href)
    error = None
    if job.error_code is not None:
        error = JobError(code=job.error_code, message=job.error_message or "")
    return JobView(
        id=job.id,
        created_at=job.created_at,
        kind=job.kind,
        state=job.state,
        progress=Progress(done=job.done, total=job.total, eta_s=job.eta_s),
        message=job.message,
        error=error,
        resource=resource,
        result=job.result,
        attempts=job.attempts,
        started_at=job.started_at,
        finished_at=job.finished_at,
        log=log or [],
    )


def supernet_view(row: Supernet) -> SupernetView:
    """A supernet: its row and its manifest."""
    known = {
        key: row.manifest[key]
        for key in (
            "family",
            "quality",
            "classes",
            "data",
            "preprocessing",
            "training",
            "recipe",
            "report",
            "licence",
        )
    }
    return SupernetView(
        id=row.id,
        created_at=row.created_at,
        name=row.name,
        source=row.source,
        weights_sha256=row.weights_sha256,
        space_sha256=row.manifest["space_sha256"],
        space_size=float(family_of(row).space().size()),
        **known,
    )


def target_view(session: Session, row: Target, settings: Settings) -> TargetView:
    """A target, who measures for it, and whether what was measured still holds."""
    recent = now() - timedelta(seconds=settings.lease_s)
    agents = [
        AgentView(name=agent.name, seen_at=agent.seen_at, connected=agent.seen_at >= recent)
        for agent in lease_queries.agents_of(session, row.project_id, row.id)
    ]
    return TargetView(
        id=row.id,
        created_at=row.created_at,
        name=row.name,
        kind=row.kind,
        settings=row.settings,
        description=row.description,
        metrics=row.metrics,
        measurable=is_measurable(row.kind),
        calibrations=row.calibrations,
        stale=stale_reason(row),
        valid_from=row.valid_from,
        agents=agents,
        unsupported=queries.count_unsupported(session, row.project_id, row.id),
    )


def measurement_view(row: Measurement, arch: dict[str, Any], target: Target | None) -> MeasurementView:
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


def _state(session: Session, job_id: str | None, done: bool) -> str:
    job = session.get(Job, job_id) if job_id is not None else None
    return job.state if job is not None else ("succeeded" if done else "failed")


LONG = ("points", "worst", "learning_curve")


def predictor_view(session: Session, row: Predictor, *, brief: bool = False) -> PredictorView:
    """A predictor and how the job that fits it is doing; ``brief`` leaves out what is long in its card."""
    report = row.report
    if brief and report is not None:
        report = {name: value for name, value in report.items() if name not in LONG}
    return PredictorView(
        id=row.id,
        created_at=row.created_at,
        supernet=row.supernet_id,
        target=row.target_id,
        metric=row.metric,
        unit=METRICS[row.metric].unit,
        kind=row.kind,
        state=_state(session, row.job_id, row.version is not None),
        version=row.version,
        rows=row.rows,
        report=report,
        stale=why_stale(session, row),
        job=row.job_id,
    )


def _doubts(session: Session, row: Search) -> list[str]:
    """What was wrong with its predictors when a search was asked for."""
    job = session.get(Job, row.job_id) if row.job_id is not None else None
    return list(job.params.get("doubts", [])) if job is not None else []


def search_view(session: Session, row: Search) -> SearchView:
    """A search: what was asked, how its job is doing, and what came out."""
    spec = row.spec
    return SearchView(
        id=row.id,
        created_at=row.created_at,
        supernet=row.supernet_id,
        state=_state(session, row.job_id, row.finished_at is not None),
        feasible=row.feasible,
        nearest=FrontPoint.model_validate(row.nearest) if row.nearest else None,
        extends=row.extends_id,
        evaluations=Spent(done=row.evaluations, budget=spec["budget"]["evaluations"], reused=row.reused),
        reference_point=[ReferencePoint(**_scoped(entry)) for entry in row.reference],
        history=[HistoryPoint(**_scoped(entry)) for entry in row.history],
        points=queries.count_points(session, row.project_id, row.id),
        warnings=[*_doubts(session, row), *row.warnings],
        provenance=row.provenance,
        job=row.job_id or "",
        finished_at=row.finished_at,
        **{key: value for key, value in spec.items() if key not in ("supernet", "predictors")},
    )


def _scoped(entry: dict[str, Any]) -> dict[str, Any]:
    """A stored row of one front, with the target whose front it is, if it is of one."""
    scope = entry["scope"]
    return {
        "target": None if scope == "shared" else scope,
        **{k: v for k, v in entry.items() if k != "scope"},
    }


def export_view(session: Session, row: Export) -> ExportView:
    """An export and how the job that makes it is doing."""
    exporter = row.exporter or {}
    return ExportView(
        id=row.id,
        created_at=row.created_at,
        subnet=row.subnet_id,
        format=row.format,
        precision=row.precision,
        opset=row.opset,
        batch=row.batch,
        state=_state(session, row.job_id, row.sha256 is not None),
        sha256=row.sha256,
        bytes=row.bytes,
        exporter=exporter.get("exporter"),
        exporter_version=exporter.get("exporter_version"),
        parity=row.parity,
        metadata=row.facts,
        job=row.job_id,
    )


def job_with_log(session: Session, job: Job) -> JobView:
    """A job with the last lines of its log."""
    return job_view(job, job_queries.log_of(session, job.id))
