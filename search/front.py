"""Pareto fronts as pure functions on arrays.

Scores are ``(n, m)`` floats, every column minimised, in any unit. A point dominates another when it is no
worse in every column and better in at least one; equal points do not dominate each other. Two columns
cost ``n log n``; more go through ``moocore`` (the indicators that pymoo uses).
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

from search.errors import ProblemError

Scores = NDArray[np.float64]


def checked(scores: Scores) -> Scores:
    """``scores`` as ``(n, m)`` floats without NaN, ``m >= 1``; anything else is refused."""
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or scores.shape[1] < 1:
        raise ProblemError(f"scores must have shape (n, m) with m >= 1, got {scores.shape}")
    if np.isnan(scores).any():
        raise ProblemError("scores must be numbers, got NaN")
    return scores


def non_dominated(scores: Scores) -> NDArray[np.bool_]:
    """Which points ``(n,)`` no other point dominates; copies of such a point are all kept."""
    scores = checked(scores)
    if len(scores) == 0:
        return np.zeros(0, dtype=bool)
    if scores.shape[1] == 1:
        return np.asarray(scores[:, 0] == scores[:, 0].min())
    if scores.shape[1] > 2:
        return _non_dominated_many(scores)
    order, first = _ordered(scores)
    best = scores[order[first], 1]
    keep = np.ones(len(best), dtype=bool)
    keep[1:] = best[1:] < np.minimum.accumulate(best)[:-1]
    mask = np.empty(len(scores), dtype=bool)
    mask[order] = keep[np.cumsum(first) - 1]
    return mask


def _ordered(scores: Scores) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Lexicographic order of two columns, and which points in that order differ from the one before."""
    order = np.lexsort((scores[:, 1], scores[:, 0]))
    ordered = scores[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return order, first


def _non_dominated_many(scores: Scores) -> NDArray[np.bool_]:
    from moocore import is_nondominated  # type: ignore[import-untyped]

    return np.asarray(is_nondominated(scores, maximise=False, keep_weakly=True), dtype=bool)


def ranks(scores: Scores) -> NDArray[np.int64]:
    """Number ``(n,)`` of the front each point belongs to: 0 non-dominated, 1 once those are gone, and so on."""
    scores = checked(scores)
    if len(scores) == 0:
        return np.zeros(0, dtype=np.int64)
    if scores.shape[1] == 1:
        return np.unique(scores[:, 0], return_inverse=True)[1].astype(np.int64)
    if scores.shape[1] == 2:
        return _ranks_of_two(scores)
    rank = np.zeros(len(scores), dtype=np.int64)
    left = np.arange(len(scores))
    for front in range(len(scores)):
        if len(left) == 0:
            break
        best = _non_dominated_many(scores[left])
        rank[left[best]] = front
        left = left[~best]
    return rank


def _ranks_of_two(scores: Scores) -> NDArray[np.int64]:
    """In lexicographic order a point joins the first front whose last member does not dominate it."""
    order, first = _ordered(scores)
    tails: list[float] = []
    front_of = []
    for value in scores[order[first], 1].tolist():
        front = bisect_right(tails, value)
        if front == len(tails):
            tails.append(value)
        else:
            tails[front] = value
        front_of.append(front)
    rank = np.empty(len(scores), dtype=np.int64)
    rank[order] = np.array(front_of, dtype=np.int64)[np.cumsum(first) - 1]
    return rank


def crowding(scores: Scores) -> NDArray[np.float64]:
    """Crowding distance ``(n,)`` of the points of one front (Deb et al. 2002); larger is lonelier.

    In each column the distance between a point's two neighbours, divided by the column's range; summed.
    The ends of a column get infinity; a column without range says nothing.
    """
    scores = checked(scores)
    n = len(scores)
    if n <= 2:
        return np.full(n, np.inf)
    order = np.argsort(scores, axis=0, kind="stable")
    columns = np.arange(scores.shape[1])
    ordered = scores[order, columns]
    span = ordered[-1] - ordered[0]
    gap = np.full(scores.shape, np.inf)
    gap[1:-1] = (ordered[2:] - ordered[:-2]) / np.where(span > 0, span, 1.0)
    gap[:, ~(span > 0)] = 0.0
    distance = np.empty_like(gap)
    distance[order, columns] = gap
    return np.asarray(distance.sum(axis=1))


def hypervolume(scores: Scores, reference: NDArray[np.float64]) -> float:
    """Volume that the points dominate up to ``reference (m,)``; points not better than it everywhere add 0."""
    scores = checked(scores)
    reference = np.asarray(reference, dtype=np.float64)
    if reference.shape != (scores.shape[1],) or not np.isfinite(reference).all():
        raise ProblemError(
            f"the reference must be {scores.shape[1]} finite numbers, got {reference.tolist()}"
        )
    inside = scores[(scores < reference).all(axis=1)]
    if len(inside) == 0:
        return 0.0
    if scores.shape[1] == 1:
        return float(reference[0] - inside.min())
    if scores.shape[1] > 2:
        from moocore import hypervolume as many

        return float(many(inside[_non_dominated_many(inside)], ref=reference))
    inside = inside[np.lexsort((inside[:, 1], inside[:, 0]))]
    height = np.minimum.accumulate(inside[:, 1])
    width = np.append(inside[1:, 0], reference[0]) - inside[:, 0]
    return float((width * (reference[1] - height)).sum())


def normalised(scores: Scores) -> Scores:
    """Each column moved and scaled so that its smallest value is 0 and its largest 1 (0 without range)."""
    scores = checked(scores)
    low = scores.min(axis=0)
    span = scores.max(axis=0) - low
    return np.asarray((scores - low) / np.where(span > 0, span, 1.0))


def knee(scores: Scores) -> int:
    """Index of the knee of a non-empty front: the point furthest below the plane through its ends.

    With every column scaled to ``[0, 1]`` over the front that is the smallest sum of columns.
    """
    scores = checked(scores)
    if len(scores) == 0:
        raise ProblemError("a knee needs at least one point, got none")
    return int(normalised(scores).sum(axis=1).argmin())
