"""The points of a scope that no other within given limits dominates.

Found in the tree of :mod:`service.search.fronts.cells` by branch and bound (Papadias et al., "Progressive skyline
computation in database systems", TODS 2005): the best cells are opened first, and a cell stays closed if the limits
exclude all that it holds, or if a point that was found dominates its best corner. So the answer is exact, and what is
read are the cells along the front within the limits, and between it and the front without them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from search.constraints import Constraint
from search.fronts.front import best_first, non_dominated
from service.db.tables import FrontCell
from service.search.fronts.cells import TOP, Scope
from service.search.fronts.pages import COLUMNS, OBJECTIVES, Page, Values
from supernets.metrics import LATENCY, METRICS

AT_ONCE, MOST_AT_ONCE = 16, 512
"""How many cells the first round opens at most; each further one opens twice as many, up to a bound.

Few rounds, each of which is a query, and few cells that a better one would have closed.
"""
_CELLS = FrontCell.__table__.c
_OPENED = sa.select(_CELLS.level, _CELLS.page).where(
    _CELLS.project_id == sa.bindparam("project"),
    _CELLS.supernet_id == sa.bindparam("supernet"),
    _CELLS.scope == sa.bindparam("scope"),
    _CELLS.cell.in_(sa.bindparam("cells", expanding=True)),
)
"""Built once, without the ORM: a search asks it for each of its rounds."""


def front_within(session: Session, scope: Scope, quality: str, limits: Sequence[Constraint] = ()) -> Page:
    """The non-dominated points among those that meet all limits, equal ones too.

    ``quality`` is the name of its metric. Other transactions must not change the tree in the meantime.
    """
    least = _least_scores(quality, limits)
    best, waiting, numbers, at_once = Page.empty(), Page.empty(), [TOP], AT_ONCE
    while numbers:
        points, cells = _opened(session, scope, numbers)
        best = _front_of(Page.joined([best, within(points, limits)]))
        waiting = _open_to(best, Page.joined([waiting, within(cells, limits)]), least)
        chosen = best_first(waiting.low[:, OBJECTIVES], at_once)
        at_once = min(2 * at_once, MOST_AT_ONCE)
        numbers = [int(waiting.ids[row]) for row in chosen]
        waiting = waiting.only(np.setdiff1d(np.arange(len(waiting.ids)), chosen))
    return best


def _opened(session: Session, scope: Scope, numbers: Sequence[int]) -> tuple[Page, Page]:
    """The points, and the cells, that these cells hold."""
    found = session.connection().execute(_OPENED, {**scope._asdict(), "cells": numbers}).all()
    points, cells = ([page for level, page in found if (level > 0) is inner] for inner in (False, True))
    return Page.decode(points), Page.decode(cells)


def within(page: Page, limits: Sequence[Constraint]) -> Page:
    """The entries with values within every limit; not those without a value."""
    mask: NDArray[np.bool_] = np.ones(len(page.ids), dtype=bool)
    for limit in limits:
        column = COLUMNS.index(limit.metric)
        low, high = page.low[:, column], page.high[:, column]
        mask &= np.isfinite(low)
        if limit.max is not None:
            mask &= low <= limit.max
        if limit.min is not None:
            mask &= high >= limit.min
    return page if mask.all() else page.only(np.flatnonzero(mask))


def _open_to(best: Page, cells: Page, least: Values) -> Page:
    """The cells that may hold a point which none of ``best`` dominates."""
    front, corners = best.low[:, OBJECTIVES], np.maximum(cells.low[:, OBJECTIVES], least)
    as_good = (front[:, None] <= corners).all(axis=2)
    better = (front[:, None] < corners).any(axis=2)
    return cells.only(np.flatnonzero(~np.asarray((as_good & better).any(axis=0))))


def _front_of(points: Page) -> Page:
    return points.only(np.flatnonzero(non_dominated(points.low[:, OBJECTIVES])))


def _least_scores(quality: str, limits: Sequence[Constraint]) -> Values:
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
