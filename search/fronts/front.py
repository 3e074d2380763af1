"""Pareto fronts as pure functions on arrays.

Scores are ``(n, m)`` floats, every column minimised, in any unit. A point dominates another if it is no
worse in every column and better in at least one; equal points do not dominate each other. Two columns
cost ``n log n``; more columns use ``moocore`` (the library of pymoo's indicators).
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

from search.errors import ProblemError

Scores = NDArray[np.float64]

PEELED = 32  # number of fronts that are cheap to remove one by one
PEELED_OF_MANY = 4  # the same with more than two columns


def checked(scores: Scores) -> Scores:
    """``scores`` as ``(n, m)`` floats without NaN, ``m >= 1``; anything else is an error."""
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or scores.shape[1] < 1:
        raise ProblemError(f"scores must have shape (n, m) with m >= 1, got {scores.shape}")
    if np.isnan(scores).any():
        raise ProblemError("scores must be numbers, got NaN")
    return scores


def non_dominated(scores: Scores) -> NDArray[np.bool_]:
    """Which points ``(n,)`` no other point dominates; all duplicates of such a point are included."""
    scores = checked(scores)
    if len(scores) == 0:
        return np.zeros(0, dtype=bool)
    if scores.shape[1] == 1:
        return np.asarray(scores[:, 0] == scores[:, 0].min())
    if scores.shape[1] > 2:
        return _non_dominated_many(scores)
    order, y, group = _distinct(scores)
    mask = np.empty(len(scores), dtype=bool)
    mask[order] = _lowest_so_far(y)[group]
    return mask


def _distinct(scores: Scores) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64] | slice]:
    """Two columns: rows in lexicographic order, second column of distinct points, distinct point of each row.

    Without ties in the first column, one sort is sufficient.
    """
    order = np.argsort(scores[:, 0])
    x, y = scores[order, 0], scores[order, 1]
    if not (x[1:] == x[:-1]).any():
        return order, y, slice(None)
    order = np.lexsort((scores[:, 1], scores[:, 0]))
    x, y = scores[order, 0], scores[order, 1]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (x[1:] != x[:-1]) | (y[1:] != y[:-1])
    return order, y[first], np.cumsum(first) - 1


def with_new(front: Scores, new: Scores) -> Scores:
    """The distinct non-dominated points of ``front (k, m)`` and ``new (n, m)``, sorted by the first column.

    ``front`` is the result of an earlier call, or empty. Two columns cost ``(n + k) log k`` if few of the new points
    are non-dominated.
    """
    new = checked(new)
    if new.shape[1] == 2 and len(front):
        before = np.searchsorted(front[:, 0], new[:, 0], side="right") - 1
        new = new[(before < 0) | (new[:, 1] < front[before, 1])]
    if len(new) == 0:
        return front
    merged = np.concatenate([front, new])
    if new.shape[1] == 2:
        merged = merged[np.lexsort((merged[:, 1], merged[:, 0]))]
        return merged[_lowest_so_far(merged[:, 1])]
    if new.shape[1] > 2:
        merged = merged[_non_dominated_many(merged, copies=False)]
        return merged[np.lexsort(merged.T[::-1])]
    return np.asarray([[merged.min()]])


def _lowest_so_far(y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The non-dominated points among distinct points in lexicographic order, by their second column."""
    keep = np.ones(len(y), dtype=bool)
    keep[1:] = y[1:] < np.minimum.accumulate(y)[:-1]
    return keep


def _non_dominated_many(scores: Scores, copies: bool = True) -> NDArray[np.bool_]:
    from moocore import is_nondominated

    return np.asarray(is_nondominated(scores, maximise=False, keep_weakly=copies), dtype=bool)


def ranks(scores: Scores, enough: int | None = None) -> NDArray[np.int64]:
    """Index ``(n,)`` of the front of each point: 0 if non-dominated, 1 if non-dominated without those, and so on.

    With ``enough``, ranking may stop once at least ``enough`` points are ranked; all others then get the next
    rank.
    """
    scores = checked(scores)
    if len(scores) == 0:
        return np.zeros(0, dtype=np.int64)
    if scores.shape[1] == 1:
        return np.unique(scores[:, 0], return_inverse=True)[1].astype(np.int64)
    if scores.shape[1] > 2:
        return _ranks_of_many(scores, len(scores) if enough is None else enough)
    order, y, group = _distinct(scores)
    rank = np.empty(len(scores), dtype=np.int64)
    rank[order] = _ranks_of_two(y, enough)[group]
    return rank


def _ranks_of_many(scores: Scores, enough: int) -> NDArray[np.int64]:
    """Peels off a few fronts if that may be enough, and ranks all remaining points at once."""
    from moocore import pareto_rank

    rank = np.empty(len(scores), dtype=np.int64)
    left = np.arange(len(scores))
    front = 0
    while front < PEELED_OF_MANY and len(scores) - len(left) < enough < len(scores) and len(left):
        best = _non_dominated_many(scores[left])
        rank[left[best]] = front
        left = left[~best]
        front += 1
    if len(left) and len(scores) - len(left) < enough:
        rank[left] = pareto_rank(scores[left]) + front
    else:
        rank[left] = front
    return rank


def _ranks_of_two(y: NDArray[np.float64], enough: int | None) -> NDArray[np.int64]:
    """Ranks of distinct points in lexicographic order, by their second column.

    A few fronts are peeled off as arrays. After those, each point is added to the first front whose last
    member does not dominate it, so that many small fronts still cost ``n log n``.
    """
    rank = np.empty(len(y), dtype=np.int64)
    left = np.arange(len(y))
    front = 0
    while enough is not None and front < PEELED and len(y) - len(left) < min(enough, len(y)):
        best = _lowest_so_far(y[left])
        rank[left[best]] = front
        left = left[~best]
        front += 1
    if enough is not None and len(y) - len(left) >= enough:
        rank[left] = front
        return rank
    tails: list[float] = []
    front_of = []
    for value in y[left].tolist():
        at = bisect_right(tails, value)
        if at == len(tails):
            tails.append(value)
        else:
            tails[at] = value
        front_of.append(at)
    rank[left] = np.array(front_of, dtype=np.int64) + front
    return rank


def best_first(scores: Scores, keep: int) -> NDArray[np.int64]:
    """Indices of the ``keep`` best points: by rank, then by decreasing crowding distance."""
    rank = ranks(scores, keep)
    if len(rank) == 0 or keep < 1:
        return np.zeros(0, dtype=np.int64)
    last = int(np.searchsorted(np.cumsum(np.bincount(rank)), keep))
    rows = np.flatnonzero(rank <= last)
    distance = _crowding_of_fronts(scores[rows], rank[rows])
    return rows[np.lexsort((-distance, rank[rows]))[:keep]]


def _crowding_of_fronts(scores: Scores, rank: NDArray[np.int64]) -> NDArray[np.float64]:
    """Crowding distance ``(n,)`` of each point within its front by ``rank``."""
    distance = np.empty(len(rank))
    if scores.shape[1] != 2:
        for number in range(int(rank.max()) + 1):
            rows = np.flatnonzero(rank == number)
            distance[rows] = crowding(scores[rows])
        return distance
    # All fronts at once: along a front of two columns one increases while the other decreases.
    order = np.lexsort((scores[:, 1], scores[:, 0], rank))
    x, y, front = scores[order, 0], scores[order, 1], rank[order]
    ends = np.flatnonzero(front[1:] != front[:-1])
    start, stop = np.concatenate([[0], ends + 1]), np.concatenate([ends, [len(front) - 1]])
    size = stop - start + 1
    gap = np.empty(len(front))
    wide, high = (
        np.repeat(np.where(s > 0, s, np.inf), size) for s in (x[stop] - x[start], y[start] - y[stop])
    )
    gap[1:-1] = (x[2:] - x[:-2]) / wide[1:-1] + (y[:-2] - y[2:]) / high[1:-1]
    open_ended = (x[stop] > x[start]) | (size <= 2)
    gap[start[open_ended]] = gap[stop[open_ended]] = np.inf
    shut = ~open_ended
    gap[start[shut]] = gap[stop[shut]] = 0.0
    distance[order] = gap
    return distance


def crowding(scores: Scores) -> NDArray[np.float64]:
    """Crowding distance ``(n,)`` of the points of one front (Deb et al. 2002); larger is less crowded.

    In each column the distance between a point's two neighbours, divided by the column's range; summed.
    The ends of a column get infinity; a column with a single value is ignored.
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
    """Volume that the points dominate up to ``reference (m,)``; points not better in every column add 0."""
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
    """Each column shifted and scaled so that its smallest value is 0 and its largest 1 (0 for a single value)."""
    scores = checked(scores)
    low = scores.min(axis=0)
    span = scores.max(axis=0) - low
    return np.asarray((scores - low) / np.where(span > 0, span, 1.0))


def knee(scores: Scores) -> int:
    """Index of the knee of a non-empty front: the point farthest below the plane through its ends.

    With every column scaled to ``[0, 1]`` over the front, this is the smallest sum of columns.
    """
    scores = checked(scores)
    if len(scores) == 0:
        raise ProblemError("a knee needs at least one point, got none")
    return int(normalised(scores).sum(axis=1).argmin())
