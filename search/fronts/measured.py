"""Fronts of measured values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.constraints import Constraint, Key, Values, merged, violations
from search.errors import ProblemError
from search.fronts.front import non_dominated
from search.problem import AnyObjective, objectives_from


@dataclass(frozen=True, slots=True)
class Miss:
    """By how much a constraint is violated: the measured value and the relative excess (0 if met)."""

    constraint: Constraint
    value: float
    excess: float


@dataclass(frozen=True, slots=True)
class MeasuredFront:
    """The front by measured values alone.

    ``feasible_rows (n,)`` is a mask; ``front`` are row numbers, best first objective first, empty if nothing
    is feasible. In that case ``nearest`` is the row with the smallest violation, and ``misses`` are its violations.
    ``unusable`` rows lack a finite value.
    """

    feasible: bool
    feasible_rows: NDArray[np.bool_]
    violations: NDArray[np.float64]
    front: NDArray[np.int64]
    nearest: int | None
    misses: tuple[Miss, ...]
    unusable: int


def measured_front(
    values: Mapping[Key, Values],
    objectives: Iterable[AnyObjective],
    constraints: Iterable[Constraint] = (),
) -> MeasuredFront:
    """The non-dominated archs among those whose measured ``values (n,)`` meet every constraint.

    ``values`` maps ``(metric, target)`` to measured values in the metric's unit, one per arch, NaN if
    unknown. An arch with an unknown value is neither feasible nor nearest.
    """
    objective_list, limits = objectives_from(objectives), merged(constraints)
    columns = {key: np.asarray(column, dtype=np.float64) for key, column in values.items()}
    needed = [key for o in objective_list for key in o.keys] + [c.key for c in limits]
    missing = [key for key in needed if key not in columns]
    if missing:
        raise ProblemError(
            f"true values are needed of every metric in play, got none of {missing[0]}", "values"
        )
    lengths = {len(columns[key]) for key in needed}
    if len(lengths) != 1:
        raise ProblemError(f"all values must cover the same archs, got lengths {sorted(lengths)}", "values")
    n = lengths.pop()
    scores = (
        np.stack([o.score(columns) for o in objective_list], axis=1)
        if n
        else np.zeros((0, len(objective_list)))
    )
    violation = violations(limits, columns, n)
    usable = np.isfinite(scores).all(axis=1) & np.isfinite(violation)
    feasible = usable & (violation <= 0)
    rows = np.flatnonzero(feasible)
    rows = rows[non_dominated(scores[rows])]
    front = rows[np.lexsort(scores[rows].T[::-1])] if len(rows) else rows
    nearest: int | None = None
    misses: tuple[Miss, ...] = ()
    if not len(front) and usable.any():
        order = np.lexsort((*scores.T[::-1], np.where(usable, violation, np.inf)))
        nearest = int(order[0])
        at = [(c, columns[c.key][nearest : nearest + 1]) for c in limits]
        misses = tuple(Miss(c, float(v[0]), float(c.excess(v)[0])) for c, v in at)
    return MeasuredFront(bool(len(front)), feasible, violation, front, nearest, misses, int((~usable).sum()))
