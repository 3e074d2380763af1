"""Judging by true values: which archs are confirmed, which are the front, and how good the front is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.constraints import Constraint
from search.fronts.front import hypervolume
from search.fronts.measured import Miss, measured_front
from search.fronts.pick import spread
from service.runtime.task import StepData
from service.search.request.plan import Key, Plan, plan_objectives
from service.search.rounds.budget import FrontSize
from service.search.rounds.history import Row, SearchHistory, Values
from supernets.metrics import METRICS

# Measured against limits this much wider and narrower, so that a candidate on either side of a limit is
# confirmed although the first measurement put it on the other, and something remains if those on it fail.
SLACK = (1.05, 1.0, 0.97, 0.94)
MOST_CONFIRMED = 24
NEAREST = 3


@dataclass(frozen=True)
class Judgement:
    """One front: indices into the history, best first objective first; ``nearest`` where there is none."""

    plan: Plan
    front: list[int]
    nearest: int | None
    misses: tuple[Miss, ...]
    least_violation: float
    unusable: int

    @property
    def returned(self) -> list[int]:
        """What the search returns."""
        return self.front or ([self.nearest] if self.nearest is not None else [])


def judge(plan: Plan, values: Mapping[Key, NDArray[np.float64]]) -> Judgement:
    """The front of a plan by values alone."""
    found = measured_front(values, plan_objectives(plan), plan.constraints)
    finite = found.violations[np.isfinite(found.violations)]
    return Judgement(
        plan,
        found.front.tolist(),
        found.nearest,
        found.misses,
        float(finite.min()) if len(finite) else float("inf"),
        found.unusable,
    )


def candidates(plans: Sequence[Plan], history: SearchHistory, *, wide: bool) -> list[Row]:
    """Rows to confirm: the measured fronts under slightly shifted limits, or else the nearest few.

    What is confirmed already is left out. ``wide`` chooses more, where nothing of the first choice was feasible:
    what else was measured within the limits and is not confirmed yet.
    """
    chosen: set[int] = set()
    for plan in plans:
        chosen |= _candidates(plan, history, wide)
    return [history.rows[index] for index in sorted(chosen - history.confirmed)]


def _candidates(plan: Plan, history: SearchHistory, wide: bool) -> set[int]:
    values = history.values(confirmed=False)
    if wide:
        rest = np.array([index not in history.confirmed for index in range(len(history.rows))])
        values = {key: np.where(rest, column, np.nan) for key, column in values.items()}
    objectives, limits = plan_objectives(plan), plan.constraints
    chosen: set[int] = set()
    for factor in SLACK:
        found = measured_front(values, objectives, [shifted(limit, factor) for limit in limits])
        room = MOST_CONFIRMED - len(chosen)
        new = [index for index in found.front.tolist() if index not in chosen]
        if len(new) > room:
            scores = np.stack([objective.score(values) for objective in objectives], axis=1)[new]
            new = [new[index] for index in spread(scores, room)] if room else []
        chosen.update(new)
    if not chosen and not wide:
        violations = measured_front(values, objectives, limits).violations
        order = [int(index) for index in np.argsort(violations, kind="stable")[:NEAREST]]
        chosen.update(index for index in order if np.isfinite(violations[index]))
    return chosen


def shifted(limit: Constraint, factor: float) -> Constraint:
    """A limit ``factor`` times as wide; a fraction stays one."""
    low = None if limit.min is None else limit.min / factor
    high = None if limit.max is None else limit.max * factor
    if METRICS[limit.metric].source == "evaluated":
        low, high = limit.min, limit.max  # known exactly on validation: nothing to allow for
    return Constraint(limit.metric, limit.target, low, high)


def measure_fronts(
    plans: Sequence[Plan],
    values: Mapping[Key, Values],
    references: Sequence[Sequence[float] | None],
    spent: tuple[int, int],
    seconds: float,
) -> list[FrontSize]:
    """One entry for each plan: its hypervolume by true values, feasible archs only.

    ``spent`` are evaluations and validation images.
    """
    return [
        FrontSize(
            scope=plan.scope,
            evaluations=spent[0],
            images=spent[1],
            seconds=round(seconds, 3),
            hypervolume=_volume(plan, values, reference),
        )
        for plan, reference in zip(plans, references, strict=True)
        if reference is not None
    ]


def _volume(plan: Plan, values: Mapping[Key, Values], reference: Sequence[float]) -> float:
    objectives = plan_objectives(plan)
    found = measured_front(values, objectives, plan.constraints)
    if not len(found.front):
        return 0.0
    scores = np.stack([objective.score(values) for objective in objectives], axis=1)[found.front]
    return hypervolume(scores, np.array(reference, dtype=np.float64))


class ReferenceEntry(StepData):
    """One coordinate of the reference point of a front, in the metric's own unit."""

    scope: str
    metric: str
    value: float


def reference_entries(
    plans: Sequence[Plan], references: Sequence[Sequence[float] | None]
) -> list[ReferenceEntry]:
    """The reference points as they are stored."""
    rows = []
    for plan, reference in zip(plans, references, strict=True):
        for objective, score in zip(plan_objectives(plan), reference or [], strict=False):
            value = objective.definition.sign * score
            rows.append(ReferenceEntry(scope=plan.scope, metric=objective.metric, value=value))
    return rows


def inherited(plans: Sequence[Plan], stored: Sequence[ReferenceEntry]) -> list[list[float] | None]:
    """References of a search that is extended, for those plans of which it has every objective."""
    known = {(row.scope, row.metric): row.value for row in stored}
    found: list[list[float] | None] = []
    for plan in plans:
        objectives = plan_objectives(plan)
        values = [known.get((plan.scope, objective.metric)) for objective in objectives]
        complete = all(value is not None for value in values)
        signed = [o.definition.sign * (v or 0.0) for o, v in zip(objectives, values, strict=True)]
        found.append(signed if complete else None)
    return found
