"""What the database knows of a space before a search, or a step of it, begins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy.orm import Session

from service.db import queries
from service.db.tables import Measurement, Search, Supernet
from service.measurements.models import ExtraMetric, Quality, SubnetTiming
from service.measurements.parts import part_rows
from service.measurements.queries import measured_rows, scope_of
from service.runtime import job_queries
from service.runtime.context import WorkContext
from service.runtime.task import Rows, StepData
from service.search.request.schemas import PredictedValue
from service.search.rounds.propose import Proposed
from service.supernets.checkpoints import family_of
from supernets.metrics import LATENCY
from supernets.spaces.space import Arch, Choice

LONGEST_LINEAGE = 1000
CONFIRM = "confirm"


class StoredEvaluations(StepData):
    """Archs that were evaluated before, with what was predicted, evaluated and measured of each, in their order.

    ``timings`` and ``confirmations`` are by target; a confirmation is None where the arch has none.
    """

    population: Rows
    predicted: list[list[PredictedValue]]
    quality: list[Quality]
    timings: dict[str, list[SubnetTiming]]
    confirmations: dict[str, list[SubnetTiming | None]]


def stored_evaluations(
    session: Session,
    run: WorkContext,
    supernet: Supernet,
    targets: Sequence[str],
    restrict: Mapping[str, Sequence[Choice]],
    extends: str | None,
    extras: Sequence[str] = (),
    *,
    parts: bool = False,
) -> StoredEvaluations:
    """Archs of the (restricted) space with quality on validation and a latency on every target, oldest first.

    ``extras`` are measured metrics that must be known too. Of several measurements on a target the middle one
    counts. Confirmations by the searches that this one ``extends`` are kept apart: they had no part in choosing,
    and still count as confirmations. A confirmation by any other search is a measurement like others. With ``parts``,
    quality on a part of the images counts where there is no other.
    """
    space = family_of(supernet).space()
    lineage = lineage_jobs(session, run.project, extends)
    quality, archs = _quality(session, run, supernet, "validation", parts)
    metrics = [LATENCY, *extras]
    measured = {
        target: {metric: _rows(session, run, supernet, metric, target) for metric in metrics}
        for target in targets
    }
    whole = [id for id in quality if all(id in rows for by in measured.values() for rows in by.values())]
    population = space.encode([space.arch(archs[id]) for id in whole])
    inside = space.restrict(restrict).member(population)
    ids = [id for id, kept in zip(whole, inside, strict=True) if kept]
    predicted = _predicted(session, lineage)
    timings: dict[str, list[SubnetTiming]] = {target: [] for target in targets}
    confirmations: dict[str, list[SubnetTiming | None]] = {target: [] for target in targets}
    for target in targets:
        for id in ids:
            first: dict[str, Measurement] = {}
            confirmed: dict[str, Measurement] = {}
            for metric, rows in measured[target].items():
                own = [row for row in rows[id] if row.job_id in lineage and row.step.startswith(CONFIRM)]
                first[metric] = _middle([row for row in rows[id] if row not in own] or own)
                confirmed |= {metric: own[-1]} if own else {}
            timings[target].append(_timing(first))
            complete = len(confirmed) == len(metrics)
            confirmations[target].append(_timing(confirmed) if complete else None)
    rows_inside = population[inside].tolist()
    return StoredEvaluations(
        population=rows_inside,
        predicted=[predicted.get(tuple(row), []) for row in rows_inside],
        quality=[quality[id] for id in ids],
        timings=timings,
        confirmations=confirmations,
    )


def lineage_jobs(session: Session, project: str, extends: str | None) -> list[str]:
    """Jobs of the search with this id and of all that it extends, the oldest first."""
    jobs: list[str] = []
    for _ in range(LONGEST_LINEAGE):
        if extends is None:
            break
        row = queries.get(session, project, Search, extends)
        jobs += [row.job_id] if row.job_id is not None else []
        extends = row.extends_id
    return jobs[::-1]


def stored_quality(
    session: Session,
    run: WorkContext,
    supernet: Supernet,
    split: str,
    images: int | None = None,
    *,
    whole: bool = True,
) -> dict[str, Quality]:
    """Evaluations on a split by arch id: on all of it, or on at least this many ``images``.

    Without ``whole``, only those on a part of exactly this many images.
    """
    if not whole:
        rows = part_rows(session, run.project, supernet, split).part
        return {id: _as_quality(row, split, True) for id, row in rows.items() if row.n == images}
    found = _quality(session, run, supernet, split, images is not None)[0]
    return {id: each for id, each in found.items() if not each.part or images is None or each.n >= images}


def _quality(
    session: Session, run: WorkContext, supernet: Supernet, split: str, parts: bool
) -> tuple[dict[str, Quality], dict[str, dict[str, Choice]]]:
    """Evaluations on all of a split and, with ``parts``, of archs without one, on a part; and the archs."""
    rows = part_rows(session, run.project, supernet, split)
    used = {**rows.part, **rows.whole} if parts else rows.whole
    found = {id: _as_quality(row, split, id not in rows.whole) for id, row in used.items()}
    return found, rows.archs


def _as_quality(row: Measurement, split: str, part: bool) -> Quality:
    return Quality(
        metric=row.metric,
        value=row.value,
        standard_error=row.spread or 0.0,
        n=row.n,
        split=row.split or split,
        precision=row.precision,
        split_sha256=row.details.get("split_sha256"),
        stats_sha256=row.details.get("stats_sha256"),
        part=part,
    )


def stored_timings(
    session: Session, run: WorkContext, supernet: Supernet, target: str, extras: Sequence[str] = ()
) -> dict[str, SubnetTiming]:
    """The middle one of the latencies on a target, by arch id, where there are ``extras`` too."""
    found = {m: _rows(session, run, supernet, m, target) for m in (LATENCY, *extras)}
    return {
        id: _timing({metric: _middle(rows[id]) for metric, rows in found.items()})
        for id in found[LATENCY]
        if all(id in rows for rows in found.values())
    }


def _timing(rows: Mapping[str, Measurement]) -> SubnetTiming:
    """A stored latency, with the further metrics of the same arch."""
    row = rows[LATENCY]
    raw = dict(row.details.get("raw") or {})
    return SubnetTiming(
        latency_ms=row.value,
        standard_error_ms=row.spread,
        rounds=row.n,
        statistic=row.statistic,
        protocol_version=row.protocol_version,
        verdict=row.verdict,
        raw_n=raw.pop("n", None),
        raw_ms=raw,
        reference=row.details.get("reference") or {},
        extras={
            metric: ExtraMetric(value=row.value, spread=row.spread, n=row.n, statistic=row.statistic)
            for metric, row in rows.items()
            if metric != LATENCY
        },
    )


def _rows(
    session: Session, run: WorkContext, supernet: Supernet, metric: str, target: str
) -> dict[str, list[Measurement]]:
    """Rows by arch; of several versions of the protocol only the newest, as others are on another scale."""
    rows = measured_rows(session, run.project, supernet.id, metric, scope_of(target))
    newest = max(
        (row.protocol_version for _, row in rows if row.protocol_version), key=_as_number, default=None
    )
    found: dict[str, list[Measurement]] = {}
    for arch, row in rows:
        if row.protocol_version in (None, newest):
            found.setdefault(_id(arch), []).append(row)
    return found


def _as_number(version: str) -> tuple[int, str]:
    return (int(version), "") if version.isdigit() else (-1, version)


def _middle(rows: Iterable[Measurement]) -> Measurement:
    ordered = sorted(rows, key=lambda row: row.value)
    return ordered[(len(ordered) - 1) // 2]


def _id(arch: Mapping[str, Choice]) -> str:
    return Arch(tuple(arch.items())).id


def _predicted(session: Session, jobs: Sequence[str]) -> dict[tuple[int, ...], list[PredictedValue]]:
    """What the searches before predicted of an arch before it was evaluated."""
    found: dict[tuple[int, ...], list[PredictedValue]] = {}
    for job in jobs:
        for step in job_queries.steps_of(session, job):
            if step.step.startswith("propose ") and step.result is not None:
                proposed = Proposed.model_validate(step.result)
                rows = map(tuple, proposed.population)
                found.update(zip(rows, proposed.predicted, strict=True))
    return found
