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
    order = _lexicographic(scores)
    mask = np.empty(len(scores), dtype=bool)
    mask[order] = _first_of_two(scores[order])
    return mask


def _lexicographic(scores: Scores) -> NDArray[np.int64]:
    """Order of two columns by the first, then the second; one plain sort where the first has no ties."""
    order = np.argsort(scores[:, 0])
    x = scores[order, 0]
    if (x[1:] == x[:-1]).any():
        return np.lexsort((scores[:, 1], scores[:, 0]))
    return order


def _non_dominated_many(scores: Scores) -> NDArray[np.bool_]:
    from moocore import is_nondominated

    return np.asarray(is_nondominated(scores, maximise=False, keep_weakly=True), dtype=bool)


def ranks(scores: Scores, enough: int | None = None) -> NDArray[np.int64]:
    """Number ``(n,)`` of the front each point belongs to: 0 non-dominated, 1 once those are gone, and so on.

    With ``enough``, ranking ends with the front that brings the number of ranked points to it; all others
    get the next rank.
    """
    scores = checked(scores)
    n = len(scores)
    if n == 0:
        return np.zeros(0, dtype=np.int64)
    if scores.shape[1] == 1:
        return np.unique(scores[:, 0], return_inverse=True)[1].astype(np.int64)
    if scores.shape[1] == 2 and enough is None:
        return _ranks_of_two(scores)
    return _peeled(scores, n if enough is None else enough)


def _peeled(scores: Scores, enough: int) -> NDArray[np.int64]:
    rank = np.empty(len(scores), dtype=np.int64)
    left = np.arange(len(scores))
    if scores.shape[1] == 2:
        left = _lexicographic(scores)
    front, ranked = 0, 0
    while len(left) and ranked < enough:  # each pass ranks at least one point
        best = _first_of_two(scores[left]) if scores.shape[1] == 2 else _non_dominated_many(scores[left])
        rank[left[best]] = front
        ranked += int(best.sum())
        left = left[~best]
        front += 1
    rank[left] = front
    return rank


def _first_of_two(ordered: Scores) -> NDArray[np.bool_]:
    """The non-dominated among points that are in lexicographic order."""
    x, y = ordered[:, 0], ordered[:, 1]
    keep = np.ones(len(y), dtype=bool)
    keep[1:] = y[1:] < np.minimum.accumulate(y)[:-1]
    same = np.flatnonzero((x[1:] == x[:-1]) & (y[1:] == y[:-1])) + 1
    for index in same.tolist():  # copies share the fate of the first, in order
        keep[index] = keep[index - 1]
    return keep


def _ranks_of_two(scores: Scores) -> NDArray[np.int64]:
    """In lexicographic order a point joins the first front whose last member does not dominate it."""
    order = _lexicographic(scores)
    ordered = scores[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    tails: list[float] = []
    front_of = []
    for value in ordered[first, 1].tolist():
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
    if scores.shape[1] == 2:
        return _area(scores[:, 0], scores[:, 1], reference)
    inside = scores[(scores < reference).all(axis=1)]
    if len(inside) == 0:
        return 0.0
    if scores.shape[1] == 1:
        return float(reference[0] - inside.min())
    from moocore import hypervolume as many

    return float(many(inside[_non_dominated_many(inside)], ref=reference))


def _area(x: NDArray[np.float64], y: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Two objectives: rectangles under the running minimum."""
    inside = (x < reference[0]) & (y < reference[1])
    x, y = x[inside], y[inside]
    if len(x) == 0:
        return 0.0
    order = np.argsort(x)
    x, height = x[order], np.minimum.accumulate(y[order])
    return float((np.append(x[1:], reference[0]) - x) @ (reference[1] - height))


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
