"""The tree over the best points of a scope: what a write does to it.

Points lie in the pages of cells, and cells in the pages of larger ones, by quality and latency; each entry has the ends
of every metric of what it holds (an R-tree: Guttman, SIGMOD 1984). A write goes down from the top to the pages that its
points belong to, and halves what becomes too full, so that its cost does not depend on how many points there are.
Entries of cells are not narrowed when a point is replaced: one that is too wide costs a read, and changes no answer.
:mod:`service.search.fronts.skyline` reads the tree.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from service.db.queries import INSERT_CHUNK
from service.db.tables import BestPoint, FrontCell
from service.search.fronts.pages import BestRow, Page, PointRow

TOP = 1
"""The cell that holds all others, in every scope."""


class Scope(NamedTuple):
    """The best points of a supernet on a target, or on any."""

    project: str
    supernet: str
    scope: str

    def of(self, table: type[BestPoint] | type[FrontCell]) -> tuple[sa.ColumnElement[bool], ...]:
        """The rows of a table in this scope."""
        return (
            table.project_id == self.project,
            table.supernet_id == self.supernet,
            table.scope == self.scope,
        )


def insert(session: Session, scope: Scope, rows: Sequence[BestRow]) -> None:
    """Write best points, each into a cell."""
    if not rows:
        return
    homes = _Tree(session, scope).add(Page.of_points(rows))
    for start in range(0, len(rows), INSERT_CHUNK):
        part = [{**row, "cell": homes.pop(row["subnet_id"])} for row in rows[start : start + INSERT_CHUNK]]
        session.execute(sa.insert(BestPoint), part)
    move(session, scope, homes)


def remove(session: Session, scope: Scope, cells: dict[str, int]) -> None:
    """Take best points out of their cells, given by their subnets; their rows are deleted by the caller."""
    inside: dict[int, list[str]] = defaultdict(list)
    for subnet, cell in cells.items():
        inside[cell].append(subnet)
    tree = _Tree(session, scope)
    for number, subnets in inside.items():
        holder = tree.cell(number)
        holder.page = Page.decode([holder.page]).without(subnets).encode()
    session.flush()


def move(session: Session, scope: Scope, homes: dict[str, int]) -> None:
    """Note the cells of best points whose rows exist."""
    inside: dict[int, list[str]] = defaultdict(list)
    for subnet, cell in homes.items():
        inside[cell].append(subnet)
    for number, subnets in inside.items():
        moved = sa.update(BestPoint).where(*scope.of(BestPoint), BestPoint.subnet_id.in_(subnets))
        session.execute(moved.values(cell=number))


def build(session: Session, scope: Scope, rows: Sequence[PointRow]) -> dict[str, int]:
    """Make the tree of a scope that has none; returns the cell of each subnet, for the caller to write."""
    return _Tree(session, scope).add(Page.of_points(rows))


class _Tree:
    """The cells of a scope while points are added. ``homes`` are the subnets that come into another cell."""

    def __init__(self, session: Session, scope: Scope) -> None:
        self._session, self._scope = session, scope
        last = sa.select(sa.func.max(FrontCell.cell)).where(*scope.of(FrontCell))
        self._last: int = session.scalar(last) or TOP
        self._homes: dict[str, int] = {}

    def cell(self, number: int) -> FrontCell:
        """A cell that exists."""
        return self._session.get_one(FrontCell, (*self._scope, number))

    def add(self, points: Page) -> dict[str, int]:
        """Put points into cells; returns the cells of these and of those that had to move."""
        top = self._session.get(FrontCell, (*self._scope, TOP))
        if top is None:
            top = self._made(TOP, 0, Page.empty())
        self._homes = dict.fromkeys(points.ids, TOP)
        entries = self._add(top, points)
        while len(entries.ids) > 1:  # what the top held moves down, so that it stays the top
            below = self._next(top.level, Page.decode([top.page]))
            entries.ids[entries.ids.index(str(TOP))] = str(below.cell)
            top.level += 1
            entries = self._store(top, entries)
        self._session.flush()
        return self._homes

    def _add(self, cell: FrontCell, points: Page) -> Page:
        """Put points below a cell; returns the entries that take the place of its own."""
        page = Page.decode([cell.page])
        if cell.level == 0:
            self._homes.update(dict.fromkeys(points.ids, cell.cell))
            return self._store(cell, Page.joined([page, points]))
        nearest = page.nearest(points)
        into = np.unique(nearest).tolist()
        kept = page.without([page.ids[row] for row in into])
        below = [
            self._add(self.cell(int(page.ids[row])), points.only(np.flatnonzero(nearest == row)))
            for row in into
        ]
        return self._store(cell, Page.joined([kept, *below]))

    def _store(self, cell: FrontCell, page: Page) -> Page:
        """Write what a cell holds, halved into further cells where it is too much."""
        first, *others = page.halves()
        cell.page = first.encode()
        cells = [self._next(cell.level, each) for each in others]
        return Page.joined(
            [first.as_entry(cell.cell), *(p.as_entry(c.cell) for c, p in zip(cells, others, strict=True))]
        )

    def _next(self, level: int, page: Page) -> FrontCell:
        self._last += 1
        if level == 0:
            self._homes.update(dict.fromkeys(page.ids, self._last))
        return self._made(self._last, level, page)

    def _made(self, number: int, level: int, page: Page) -> FrontCell:
        project, supernet, scope = self._scope
        made = FrontCell(
            project_id=project,
            supernet_id=supernet,
            scope=scope,
            cell=number,
            level=level,
            page=page.encode(),
        )
        self._session.add(made)
        self._session.flush()
        return made
