"""The points of a scope that no other within given limits dominates.

Found in the tree of :mod:`service.search.fronts.cells` by branch and bound (Papadias et al., "Progressive skyline
computation in database systems", TODS 2005): the best cells are opened first, and a cell stays closed if the limits
exclude its whole box, or if a point that was found dominates its best corner. So the answer is exact, and what is read
are the cells along the front within the limits, and between it and the front without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from search.constraints import Constraint
from search.fronts.front import best_first, non_dominated
from service.db.tables import BestPoint, FrontCell
from service.search.fronts.cells import TOP, Scope
from supernets.metrics import LATENCY, METRICS

AT_ONCE = 24
"""How many cells one round opens: few rounds, and few cells that a better one would have closed."""
SLACK = 1e-12
"""Databases may round numbers inside JSON: they compare with this tolerance, and values are compared again, exactly."""
Scores = NDArray[np.float64]


class Found(NamedTuple):
    """A point: its subnet, its row in ``front_points``, and its scores."""

    subnet: str
    point: str
    quality: float
    latency: float


class Corner(NamedTuple):
    """A cell, and the best scores that a point in it may have."""

    cell: int
    level: int
    quality: float
    latency: float


def front_within(
    session: Session, scope: Scope, quality: str, limits: Sequence[Constraint] = ()
) -> list[Found]:
    """The non-dominated points among those that meet all limits, equal ones too; ``quality`` is its metric's name."""
    best = _front_of(_points(session, scope, limits, BestPoint.on_front.is_(True)))
    least = _least_scores(quality, limits)
    waiting = _cells(session, scope, limits, [TOP])
    while waiting := _open_to(best, waiting, least):
        order = best_first(_scores(waiting), AT_ONCE).tolist()
        chosen = [waiting[index] for index in order]
        closed = [waiting[index] for index in sorted(set(range(len(waiting))) - set(order))]
        leaves = [each.cell for each in chosen if each.level == 0]
        if leaves:
            best = _front_of([*best, *_points(session, scope, limits, BestPoint.cell.in_(leaves))])
        inner = [each.cell for each in chosen if each.level]
        waiting = closed + (_cells(session, scope, limits, inner) if inner else [])
    return best


def _open_to(best: Sequence[Found], cells: Sequence[Corner], least: Scores) -> list[Corner]:
    """The cells that may hold a point which none of ``best`` dominates."""
    if not best or not cells:
        return list(cells)
    front, corners = _scores(best), np.maximum(_scores(cells), least)
    as_good = (front[:, None] <= corners).all(axis=2)
    better = (front[:, None] < corners).any(axis=2)
    dominated = np.asarray((as_good & better).any(axis=0))
    return [cells[index] for index in np.flatnonzero(~dominated).tolist()]


def _front_of(points: Sequence[Found]) -> list[Found]:
    distinct = list({point.subnet: point for point in points}.values())
    return [distinct[index] for index in np.flatnonzero(non_dominated(_scores(distinct))).tolist()]


def _scores(rows: Sequence[Found | Corner]) -> Scores:
    return np.array([(row.quality, row.latency) for row in rows], dtype=np.float64).reshape(len(rows), 2)


def _least_scores(quality: str, limits: Sequence[Constraint]) -> Scores:
    """The best scores ``(2,)`` that limits leave possible."""
    least = np.full(2, -np.inf)
    for limit in limits:
        if limit.metric == LATENCY and limit.min is not None:
            least[1] = limit.min
        if limit.metric == quality:
            sign = METRICS[quality].sign
            end = limit.min if sign > 0 else limit.max
            least[0] = -np.inf if end is None else sign * end
    return least


def _cells(
    session: Session, scope: Scope, limits: Sequence[Constraint], parents: Sequence[int]
) -> list[Corner]:
    """The cells in these whose box has values within every limit."""
    conditions = [*scope.of(FrontCell), FrontCell.parent.in_(parents)]
    for limit in limits:
        conditions += _between(FrontCell.low[limit.metric], FrontCell.high[limit.metric], limit)
    query = sa.select(FrontCell.cell, FrontCell.level, FrontCell.quality, FrontCell.latency)
    return [Corner(*row) for row in session.execute(query.where(*conditions))]


def _points(
    session: Session, scope: Scope, limits: Sequence[Constraint], where: sa.ColumnElement[bool]
) -> list[Found]:
    """The points that meet every limit."""
    conditions = [*scope.of(BestPoint), where]
    for limit in limits:
        figure = BestPoint.figures[limit.metric]
        conditions += _between(figure, figure, limit)
    columns = (BestPoint.subnet_id, BestPoint.point_id, BestPoint.quality, BestPoint.latency)
    rows = session.execute(sa.select(*columns, BestPoint.figures).where(*conditions))
    return [Found(*row[:4]) for row in rows if all(_meets(limit, row[4][limit.metric]) for limit in limits)]


def _between(low: Any, high: Any, limit: Constraint) -> list[sa.ColumnElement[bool]]:
    """What has values within a limit; not what has no value, which is null."""
    found: list[sa.ColumnElement[bool]] = []
    if limit.max is not None:
        found.append(low.as_float() <= limit.max + SLACK * abs(limit.max))
    if limit.min is not None:
        found.append(high.as_float() >= limit.min - SLACK * abs(limit.min))
    return found


def _meets(limit: Constraint, value: float) -> bool:
    return (limit.max is None or value <= limit.max) and (limit.min is None or value >= limit.min)
