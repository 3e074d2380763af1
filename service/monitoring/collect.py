"""Metrics that are read from the database at each scrape: the same from every process of the API."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

import sqlalchemy as sa
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from sqlalchemy.orm import Session

from service.db.session import Database
from service.db.tables import Job, JobStep, Measurement, Target
from service.runtime import job_queries
from service.settings import Settings

SPREAD_ROWS = 1000
"""Newest measurements that the spread is taken from."""


class DatabaseMetrics:
    """A collector of prometheus_client."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database, self._settings = database, settings

    def describe(self) -> list[Metric]:
        """Nothing: registering must not read the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every metric, from one read transaction."""
        with self._database.read() as session:
            yield from _queue(session)
            yield _workers(session, self._settings.worker_timeout_s)
            yield from _finished(session)
            yield _repeated_steps(session)
            yield _spread(session)


def _queue(session: Session) -> Iterator[Metric]:
    depth = GaugeMetricFamily("netwright_jobs", "Jobs that have not ended", labels=("kind", "state"))
    query = sa.select(Job.kind, Job.state, sa.func.count()).where(Job.state.not_in(job_queries.FINAL))
    for kind, state, count in session.execute(query.group_by(Job.kind, Job.state)):
        depth.add_metric((kind, state), count)
    yield depth
    oldest = job_queries.oldest_queued(session)
    waited = (job_queries.database_now(session) - oldest).total_seconds() if oldest is not None else 0.0
    yield GaugeMetricFamily(
        "netwright_queue_age_seconds", "Age of the job that waits longest for a worker", max(waited, 0.0)
    )


def _workers(session: Session, timeout_s: float) -> Metric:
    alive = len(job_queries.living_workers(session, timeout_s))
    return GaugeMetricFamily("netwright_workers", "Workers with a recent heartbeat", alive)


def _finished(session: Session) -> Iterator[Metric]:
    """Jobs that ended, and how long they took from their first start. Jobs are never deleted."""
    jobs = CounterMetricFamily(
        "netwright_jobs_finished", "Jobs that ended", labels=("kind", "state", "error_code")
    )
    seconds = CounterMetricFamily(
        "netwright_job_seconds", "Time from the first start of a job to its end", labels=("kind", "state")
    )
    took = _seconds(session, Job.finished_at) - _seconds(session, Job.started_at)
    query = sa.select(
        Job.kind,
        Job.state,
        sa.func.coalesce(Job.error_code, ""),
        sa.func.count(),
        sa.func.coalesce(sa.func.sum(took), 0.0),
    )
    sums: dict[tuple[str, str], float] = {}
    rows = session.execute(
        query.where(Job.state.in_(job_queries.FINAL)).group_by(*query.selected_columns[:3])
    )
    for kind, state, code, count, total in rows:
        jobs.add_metric((kind, state, code), count)
        sums[kind, state] = sums.get((kind, state), 0.0) + float(total)
    for labels, total in sums.items():
        seconds.add_metric(labels, total)
    yield jobs
    yield seconds


def _seconds(session: Session, column: sa.orm.InstrumentedAttribute[object]) -> sa.ColumnElement[float]:
    """A time as seconds."""
    if session.get_bind().dialect.name == "sqlite":
        return sa.func.julianday(column) * 86400.0
    return sa.cast(sa.extract("epoch", column), sa.Double)


def _repeated_steps(session: Session) -> Metric:
    query = sa.select(Job.kind, sa.func.count()).join(JobStep, JobStep.job_id == Job.id)
    found = CounterMetricFamily(
        "netwright_step_failures", "Executions of a step that ended without a result", labels=("kind",)
    )
    for kind, count in session.execute(query.where(JobStep.execution > 1).group_by(Job.kind)):
        found.add_metric((kind,), count)
    return found


def _spread(session: Session) -> Metric:
    """The median of spread over value, of the newest measurements."""
    newest = (
        sa.select(Measurement.target_id, Measurement.metric, Measurement.value, Measurement.spread)
        .order_by(Measurement.created_at.desc(), Measurement.id.desc())
        .limit(SPREAD_ROWS)
    )
    ratios: dict[tuple[str, str], list[float]] = {}
    for target, metric, value, spread in session.execute(newest):
        if target is not None and spread is not None and value:
            ratios.setdefault((target, metric), []).append(abs(spread / value))
    names = {row.id: row.name for row in session.execute(sa.select(Target.id, Target.name))}
    found = GaugeMetricFamily(
        "netwright_measurement_spread_ratio",
        f"Median spread of the newest {SPREAD_ROWS} measurements, relative to the value",
        labels=("target", "metric"),
    )
    for (target, metric), values in sorted(ratios.items()):
        found.add_metric((names.get(target, target), metric), median(values))
    return found
