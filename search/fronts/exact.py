"""Which archs with an uncertain quality to evaluate exactly: those with the largest expected gain of hypervolume."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.constraints import Constraint, Key, Values
from search.fronts.front import Scores, hypervolume
from search.fronts.measured import measured_front
from search.optimise import reference_point
from search.problem import AnyObjective, objectives_from
from supernets.metrics import metric_named

NODES = 7
"""Points of the Gauss-Hermite quadrature over the value of one arch."""


@dataclass(frozen=True, slots=True)
class Uncertain:
    """Archs with expected ``values (n,)`` of every metric and standard errors ``(n,)`` of the metric ``key``.

    An error of 0 means that the value is exact. All other values are exact.
    """

    values: Mapping[Key, Values]
    key: Key
    errors: Values


def largest_gains(
    archs: Uncertain,
    objectives: Iterable[AnyObjective],
    constraints: Iterable[Constraint],
    reference: Values | None,
    most: int,
    least: float,
) -> NDArray[np.int64]:
    """At most ``most`` uncertain rows whose exact values are expected to add most to the front of the exact ones.

    The gain is the expected growth of the feasible hypervolume up to ``reference (m,)``; the value of an arch is normal
    with its expected value and standard error. Rows are selected one by one, and a selected one then counts with its
    expected value, so that the next adds something else. Selection ends where the largest gain is below ``least`` of
    the hypervolume. Without a reference it is that of all expected scores. Where no row is expected to be feasible,
    the nearest one is returned if it is uncertain.
    """
    objective_list, limits = objectives_from(objectives), list(constraints)
    expected = measured_front(archs.values, objective_list, limits)
    uncertain = np.flatnonzero((archs.errors > 0) & np.isfinite(archs.values[archs.key]))
    if not len(expected.front):
        near = expected.nearest
        return np.array([near] if near is not None and near in uncertain else [], dtype=np.int64)[:most]
    scores = np.stack([objective.score(archs.values) for objective in objective_list], axis=1)
    if reference is None:
        reference = reference_point(scores[np.isfinite(scores).all(axis=1)])
    known = scores[expected.feasible_rows & (archs.errors == 0)]
    cases = _cases(archs, objective_list, limits)
    chosen: list[int] = []
    left = uncertain.tolist()
    while left and len(chosen) < most:
        gains = [_gain(known, cases, row, reference) for row in left]
        best = int(np.argmax(gains))
        if gains[best] <= least * hypervolume(known, reference):
            break
        chosen.append(left.pop(best))
        if expected.feasible_rows[chosen[-1]]:
            known = np.concatenate([known, scores[chosen[-1:]]])
    return np.array(chosen, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class _Case:
    """Scores ``(n, m)`` and feasibility ``(n,)`` where every uncertain value is this many errors better; its weight."""

    weight: float
    scores: Scores
    feasible: NDArray[np.bool_]


def _cases(archs: Uncertain, objectives: Sequence[AnyObjective], limits: Sequence[Constraint]) -> list[_Case]:
    """The nodes of the quadrature, each with the scores there."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    sign = metric_named(archs.key[0]).sign
    cases = []
    for node, weight in zip(nodes.tolist(), (weights / weights.sum()).tolist(), strict=True):
        values = {**archs.values, archs.key: archs.values[archs.key] - sign * node * archs.errors}
        scores = np.stack([each.score(values) for each in objectives_from(objectives)], axis=1)
        cases.append(_Case(weight, scores, measured_front(values, objectives, limits).feasible_rows))
    return cases


def _gain(known: Scores, cases: Sequence[_Case], row: int, reference: Values) -> float:
    """Expected growth of the hypervolume of ``known (k, m)`` by one row."""
    before = hypervolume(known, reference)
    return sum(
        case.weight * (hypervolume(np.concatenate([known, case.scores[row : row + 1]]), reference) - before)
        for case in cases
        if case.feasible[row]
    )
