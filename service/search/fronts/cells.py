"""The tree over the best points of a scope: what a write does to it.

Points lie in cells, and cells in larger cells, by quality and latency; each cell has the ends of every metric of its
points (an R-tree: Guttman, SIGMOD 1984). A write widens the cells from the top to the one that a point goes into, and
halves what becomes too full, so that its cost does not depend on how many points there are. Boxes are not narrowed when
a point is replaced: a box that is too wide costs a read, and changes no answer.
:mod:`service.search.fronts.skyline` reads the tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from service.db.queries import INSERT_CHUNK
from service.db.tables import BestPoint, FrontCell

FULL = 64
"""The most points of a cell, and the most cells of a larger one."""
TOP = 0
Corners = NDArray[np.float64]


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


class Box(NamedTuple):
    """Ends of the values of some points."""

    quality: float
    latency: float
    worst_quality: float
    worst_latency: float
    low: dict[str, float]
    high: dict[str, float]


def insert(session: Session, scope: Scope, rows: Sequence[dict[str, object]]) -> None:
    """Write best points, as columns by name without ``cell``, each into a cell."""
    if not rows:
        return
    cells = _choose(session, scope, rows)
    for start in range(0, len(rows), INSERT_CHUNK):
        part = zip(rows[start : start + INSERT_CHUNK], cells[start : start + INSERT_CHUNK], strict=True)
        session.execute(sa.insert(BestPoint), [{**row, "cell": cell} for row, cell in part])
    split(session, scope, sorted(set(cells)))


def split(session: Session, scope: Scope, cells: Iterable[int]) -> None:
    """Halve cells of level 0, and then the cells around them, until none is too full."""
    crowded = set()
    query = sa.select(FrontCell).where(*scope.of(FrontCell), FrontCell.size > FULL)
    for cell in session.scalars(query.where(FrontCell.cell.in_(cells))).all():
        _split_points(session, scope, cell)
        crowded.add(cell.parent)
    while crowded:
        crowded = {parent for cell in sorted(crowded) for parent in _split_cells(session, scope, cell)}


def _choose(session: Session, scope: Scope, rows: Sequence[Mapping[str, object]]) -> list[int]:
    """The cell ``(n,)`` of level 0 that each row goes into; it and those around it are widened."""
    corners = np.array([(row["quality"], row["latency"]) for row in rows], dtype=np.float64)
    chosen = np.zeros(len(rows), dtype=np.int64)
    top = _cells_in(session, scope, [TOP])
    if not top:
        session.add(made(scope, 1, TOP, 0, box_of(rows), 0))
        session.flush()
        top = _cells_in(session, scope, [TOP])
    scale, level = _scale(top, corners), top
    while level:
        for parent in np.unique(chosen).tolist():
            inside = [cell for cell in level if cell.parent == parent]
            mine = np.flatnonzero(chosen == parent)
            nearest = _distances(corners[mine], inside, scale).argmin(axis=1)
            for index in np.unique(nearest).tolist():
                into = mine[nearest == index]
                chosen[into] = inside[index].cell
                _widen(inside[index], box_of([rows[row] for row in into.tolist()]), len(into))
        inner = [cell.cell for cell in level if cell.level]
        level = _cells_in(session, scope, sorted(set(chosen.tolist()) & set(inner)))
    return [int(cell) for cell in chosen]


def _distances(corners: Corners, cells: Sequence[FrontCell], scale: Corners) -> Corners:
    """By how much each cell would have to be widened for each point ``(n, cells)``, over both axes."""
    low = np.array([(cell.quality, cell.latency) for cell in cells])
    high = np.array([(cell.worst_quality, cell.worst_latency) for cell in cells])
    below, above = low - corners[:, None], corners[:, None] - high
    return np.asarray(((np.maximum(below, 0.0) + np.maximum(above, 0.0)) / scale).sum(axis=2))


def _scale(cells: Sequence[FrontCell], corners: Corners) -> Corners:
    """The range ``(2,)`` of quality and latency over the scope, by which distances are compared."""
    low = [corners.min(axis=0)] if len(corners) else []
    high = [corners.max(axis=0)] if len(corners) else []
    low += [np.array((cell.quality, cell.latency)) for cell in cells]
    high += [np.array((cell.worst_quality, cell.worst_latency)) for cell in cells]
    span = np.max(high, axis=0) - np.min(low, axis=0)
    return np.where(span > 0, span, 1.0)


def _split_points(session: Session, scope: Scope, cell: FrontCell) -> None:
    columns = (BestPoint.subnet_id, BestPoint.quality, BestPoint.latency, BestPoint.figures)
    query = sa.select(*columns).where(*scope.of(BestPoint), BestPoint.cell == cell.cell)
    rows = [dict(row) for row in session.execute(query.order_by(BestPoint.subnet_id)).mappings()]
    corners = np.array([(row["quality"], row["latency"]) for row in rows], dtype=np.float64)
    scale = _scale(_cells_in(session, scope, [TOP]), np.zeros((0, 2)))
    groups = [[rows[index] for index in group] for group in _halves(corners, scale)]
    for number, (new, group) in enumerate(zip(_numbers(session, scope, cell, groups), groups, strict=True)):
        if number == 0:
            _set(cell, box_of(group), len(group))
            continue
        session.add(made(scope, new, cell.parent, 0, box_of(group), len(group)))
        subnets = [row["subnet_id"] for row in group]
        moved = sa.update(BestPoint).where(*scope.of(BestPoint), BestPoint.subnet_id.in_(subnets))
        session.execute(moved.values(cell=new))
    session.flush()


def _split_cells(session: Session, scope: Scope, parent: int) -> list[int]:
    """Halve a cell that holds too many cells; returns the cell around it, which holds more then."""
    inside = _cells_in(session, scope, [parent])
    if len(inside) <= FULL:
        return []
    corners = np.array([(cell.quality, cell.latency) for cell in inside], dtype=np.float64)
    groups = [[inside[index] for index in group] for group in _halves(corners, _scale(inside, corners))]
    outer = None if parent == TOP else session.get_one(FrontCell, (*scope, parent))
    around = TOP if outer is None else outer.parent
    for number, (new, group) in enumerate(zip(_numbers(session, scope, outer, groups), groups, strict=True)):
        if outer is not None and number == 0:
            _set(outer, _cover(group), len(group))
            continue
        session.add(made(scope, new, around, group[0].level + 1, _cover(group), len(group)))
        for cell in group:
            cell.parent = new
    session.flush()
    return [around]


def _halves(corners: Corners, scale: Corners) -> list[list[int]]:
    """Rows in groups of at most ``FULL``: halved again and again, along the wider axis."""
    done, left = [], [np.arange(len(corners))]
    while left:
        rows = left.pop()
        if len(rows) <= FULL:
            done.append([int(row) for row in rows])
            continue
        axis = int((np.ptp(corners[rows], axis=0) / scale).argmax())
        rows = rows[np.argsort(corners[rows, axis], kind="stable")]
        left += [rows[: len(rows) // 2], rows[len(rows) // 2 :]]
    return done


def _numbers(session: Session, scope: Scope, first: FrontCell | None, groups: Sequence[object]) -> list[int]:
    """A number for the cell of each group: that of ``first``, which stays, and new ones."""
    last = session.scalar(sa.select(sa.func.max(FrontCell.cell)).where(*scope.of(FrontCell))) or 0
    if first is None:
        return list(range(last + 1, last + 1 + len(groups)))
    return [first.cell, *range(last + 1, last + len(groups))]


def _cells_in(session: Session, scope: Scope, parents: Sequence[int]) -> list[FrontCell]:
    if not parents:
        return []
    query = sa.select(FrontCell).where(*scope.of(FrontCell), FrontCell.parent.in_(parents))
    return list(session.scalars(query.order_by(FrontCell.cell)))


def made(scope: Scope, number: int, parent: int, level: int, box: Box, size: int) -> FrontCell:
    """A new cell that holds a box."""
    names = {"project_id": scope.project, "supernet_id": scope.supernet, "scope": scope.scope}
    return FrontCell(**names, cell=number, parent=parent, level=level, size=size, **box._asdict())


def _set(cell: FrontCell, box: Box, size: int) -> None:
    for name, value in box._asdict().items():
        setattr(cell, name, value)
    cell.size = size


def _widen(cell: FrontCell, box: Box, points: int) -> None:
    """Make a cell hold a box too; one of level 0 gets so many more points."""
    _set(cell, _cover([cell, box]), cell.size + (points if cell.level == 0 else 0))


def box_of(rows: Sequence[Mapping[str, Any]]) -> Box:
    """The smallest box that holds some best points."""
    boxes = [Box(*(row["quality"], row["latency"]) * 2, row["figures"], row["figures"]) for row in rows]
    return _cover(boxes)


def _cover(boxes: Sequence[Box | FrontCell]) -> Box:
    """The smallest box that holds all of these."""
    low: dict[str, float] = {}
    high: dict[str, float] = {}
    for box in boxes:
        for name, value in box.low.items():
            low[name] = min(low.get(name, value), value)
        for name, value in box.high.items():
            high[name] = max(high.get(name, value), value)
    return Box(
        quality=min(box.quality for box in boxes),
        latency=min(box.latency for box in boxes),
        worst_quality=max(box.worst_quality for box in boxes),
        worst_latency=max(box.worst_latency for box in boxes),
        low=low,
        high=high,
    )
