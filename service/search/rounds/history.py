"""What a search has evaluated, and the existing values at its start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from service.db import queries
from service.db.tables import Measurement, Search, Supernet
from service.measurements.models import ExtraMetric, Quality, SubnetTiming
from service.measurements.queries import measured_rows, scope_of
from service.runtime import job_queries
from service.runtime.context import WorkContext
from service.runtime.task import Rows, StepData
from service.search.request.plan import Key
from service.search.request.schemas import PredictedValue
from service.search.rounds.propose import Proposed
from service.supernets.checkpoints import family_of
from supernets.metrics import LATENCY
from supernets.spaces.space import Arch, Choice

Row = list[int]
Values = NDArray[np.float64]
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


class SearchHistory:
    """Archs in the order they were proposed, with predictions, true values and confirmations; unknown is NaN."""

    def __init__(
        self,
        quality: str,
        targets: Sequence[str],
        costs: Callable[[NDArray[np.int64]], Mapping[str, Values]],
        extras: Sequence[str] = (),
    ) -> None:
        """``extras`` are the measured metrics other than latency."""
        self._quality, self._targets, self._costs = quality, list(targets), costs
        self._extras = list(extras)
        self.rows: Rows = []
        self.predicted: list[list[PredictedValue]] = []
        self.validation: list[Quality] = []
        self.test: dict[int, Quality] = {}
        self.timings: dict[str, dict[int, SubnetTiming]] = {target: {} for target in targets}
        self.confirmations: dict[str, dict[int, SubnetTiming]] = {target: {} for target in targets}
        self.confirmed: set[int] = set()
        self.round_sizes: list[int] = []
        self.reused = 0

    @property
    def spent(self) -> int:
        """Evaluations of this search's own."""
        return len(self.rows) - self.reused

    def begin(self, known: StoredEvaluations) -> None:
        """Start from what was evaluated before; what was confirmed on every target keeps that value."""
        self.rows, self.predicted = list(known.population), list(known.predicted)
        self.validation, self.reused = list(known.quality), len(known.population)
        for target in self._targets:
            self.timings[target] = dict(enumerate(known.timings[target]))
        for index in range(self.reused):
            confirmed = {target: known.confirmations[target][index] for target in self._targets}
            if confirmed and all(timing is not None for timing in confirmed.values()):
                self.confirmed.add(index)
                for target, timing in confirmed.items():
                    assert timing is not None
                    self.confirmations[target][index] = timing

    @property
    def last(self) -> Rows:
        """The rows of the last round."""
        return self.rows[len(self.rows) - self.round_sizes[-1] :] if self.round_sizes else []

    def add(self, rows: Sequence[Row], predicted: Sequence[list[PredictedValue]]) -> None:
        """Begin a round."""
        self.rows += rows
        self.predicted += predicted
        self.round_sizes.append(len(rows))

    def keep(self, count: int) -> None:
        """Of the last round only the first ``count``: time ran out before the others were done."""
        size = self.round_sizes[-1]
        if count < size:
            end = len(self.rows) - (size - count)
            self.rows, self.predicted = self.rows[:end], self.predicted[:end]
            self.validation = self.validation[:end]
            self.round_sizes[-1] = count
            for timings in self.timings.values():
                for index in [index for index in timings if index >= end]:
                    del timings[index]

    def set_quality(self, evaluations: Sequence[Quality]) -> None:
        """Quality of the last round on validation."""
        self.validation += evaluations

    def set_test(self, indices: Sequence[int], evaluations: Sequence[Quality]) -> None:
        """Quality of some on the test split."""
        self.test.update(zip(indices, evaluations, strict=True))

    def set_timings(
        self, target: str, rows: Sequence[Row], timings: Sequence[SubnetTiming], *, confirmed: bool
    ) -> None:
        """What was measured on a target; a confirmation counts as one also where it gave no value."""
        indices = self.indices(rows)
        (self.confirmations if confirmed else self.timings)[target].update(zip(indices, timings, strict=True))
        if confirmed:
            self.confirmed.update(indices)

    def confirm_without_target(self, rows: Sequence[Row]) -> None:
        """A search without targets has nothing to measure again."""
        self.confirmed.update(self.indices(rows))

    def indices(self, rows: Sequence[Row]) -> list[int]:
        """The positions of these rows."""
        at = {tuple(row): index for index, row in enumerate(self.rows)}
        return [at[tuple(row)] for row in rows]

    def values(self, *, confirmed: bool) -> dict[Key, Values]:
        """True values ``(n,)`` of every metric; with ``confirmed``, only of archs that were confirmed."""
        n = len(self.rows)
        population = np.array(self.rows, dtype=np.int64)
        mask = np.array([index in self.confirmed or not confirmed for index in range(n)], dtype=bool)
        columns: dict[Key, Values] = {
            (name, None): column for name, column in self._costs(population).items()
        }
        columns[self._quality, None] = np.array([each.value for each in self.validation])
        for target in self._targets:
            source = self.confirmations[target] if confirmed else self.timings[target]
            found = [source.get(index) for index in range(n)]
            columns[LATENCY, target] = _column(None if t is None else t.latency_ms for t in found)
            for metric in self._extras:
                extras = [None if t is None else t.extras.get(metric) for t in found]
                columns[metric, target] = _column(None if e is None else e.value for e in extras)
        return {key: np.where(mask, column, np.nan) for key, column in columns.items()}


def _column(values: Iterable[float | None]) -> Values:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


# --- what is known from before ---------------------------------------------------------------------


def stored_evaluations(
    session: Session,
    run: WorkContext,
    supernet: Supernet,
    targets: Sequence[str],
    restrict: Mapping[str, Sequence[Choice]],
    extends: str | None,
    extras: Sequence[str] = (),
) -> StoredEvaluations:
    """Archs of the (restricted) space with quality on validation and a latency on every target, oldest first.

    ``extras`` are measured metrics that must be known too. Of several measurements on a target the middle one
    counts. Confirmations by the searches that this one ``extends`` are kept apart: they had no part in choosing,
    and still count as confirmations. A confirmation by any other search is a measurement like others.
    """
    space = family_of(supernet).space()
    lineage = lineage_jobs(session, run.project, extends)
    quality, archs = _quality(session, run, supernet, "validation")
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


def stored_quality(session: Session, run: WorkContext, supernet: Supernet, split: str) -> dict[str, Quality]:
    """Evaluations on a split by arch id."""
    return _quality(session, run, supernet, split)[0]


def _quality(
    session: Session, run: WorkContext, supernet: Supernet, split: str
) -> tuple[dict[str, Quality], dict[str, dict[str, Choice]]]:
    current = supernet.manifest["data"]["splits"][split]["sha256"]
    metric = supernet.quality
    rows = measured_rows(session, run.project, supernet.id, metric, scope_of(None, split))
    rows = [(arch, row) for arch, row in rows if row.details.get("split_sha256") in (None, current)]
    found = {
        _id(arch): Quality(
            metric=row.metric,
            value=row.value,
            standard_error=row.spread or 0.0,
            n=row.n,
            split=row.split or split,
            precision=row.precision,
            split_sha256=row.details.get("split_sha256"),
            stats_sha256=row.details.get("stats_sha256"),
        )
        for arch, row in rows
    }
    return found, {_id(arch): arch for arch, _ in rows}


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
