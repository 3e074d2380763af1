"""Judging by true values: which archs deserve a confirmation, and which of those are the front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.constraints import Constraint
from search.measured import Miss, measured_front
from search.pick import spread
from service.search.plan import Plan, plan_constraints, plan_objectives
from service.search.trail import Key, Row, Trail

# Measured against limits this much wider and narrower, so that a candidate on either side of a limit is
# confirmed although the first measurement put it on the other, and something remains if those on it fail.
SLACK = (1.05, 1.0, 0.97, 0.94)
MOST_CONFIRMED = 24
NEAREST = 3


@dataclass(frozen=True)
class Judgement:
    """One front: indices into the trail, best first objective first; ``nearest`` where there is none."""

    plan: Plan
    front: list[int]
    nearest: int | None
    misses: tuple[Miss, ...]
    least_violation: float
    unusable: int

    @property
    def returned(self) -> list[int]:
        """What the search gives back."""
        return self.front or ([self.nearest] if self.nearest is not None else [])


def judge(plan: Plan, values: Mapping[Key, NDArray[np.float64]]) -> Judgement:
    """The front of a plan by values alone."""
    found = measured_front(values, plan_objectives(plan), plan_constraints(plan))
    finite = found.violations[np.isfinite(found.violations)]
    return Judgement(
        plan,
        found.front.tolist(),
        found.nearest,
        found.misses,
        float(finite.min()) if len(finite) else float("inf"),
        found.unusable,
    )


def candidates(plans: Sequence[Plan], trail: Trail, *, wide: bool) -> list[Row]:
    """Rows to confirm: the measured fronts under slightly shifted limits, or else the nearest few.

    Without what was confirmed already.
    ``wide`` asks for more, when nothing of the first choice stood up: what else was measured within the
    limits and was not confirmed yet.
    """
    chosen: set[int] = set()
    for plan in plans:
        chosen |= _candidates(plan, trail, wide)
    return [trail.rows[index] for index in sorted(chosen - trail.confirmed)]


def _candidates(plan: Plan, trail: Trail, wide: bool) -> set[int]:
    values = trail.values(confirmed=False)
    if wide:
        rest = np.array([index not in trail.confirmed for index in range(len(trail.rows))])
        values = {key: np.where(rest, column, np.nan) for key, column in values.items()}
    objectives, limits = plan_objectives(plan), plan_constraints(plan)
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
    if limit.metric == "accuracy":
        low, high = limit.min, limit.max  # known exactly on validation: nothing to allow for
    return Constraint(limit.metric, limit.target, low, high)
