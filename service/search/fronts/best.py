"""The fronts of everything stored, kept by every write: exact, and read at once however many points there are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from search.constraints import Constraint
from search.fronts.pick import spread
from service.db.queries import INSERT_CHUNK, insert_new
from service.db.tables import BestPoint, Point, Supernet
from service.search.fronts.cells import Scope, insert, remove
from service.search.fronts.pages import OBJECTIVES, BestRow, Page, PointRow
from service.search.fronts.skyline import front_within, within
from service.search.fronts.views import true_value
from service.search.request.schemas import FrontPoint
from supernets.metrics import LATENCY, METRICS

ANY = "any"
"""Scope of the front over all targets; other scopes are ids of targets."""


def store_points(session: Session, supernet: Supernet, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write points of fronts, best first, and what they change on the fronts of everything."""
    _lock(session, supernet)
    insert_new(session, Point, rows)
    for scope in _take(session, supernet, [(row["id"], row["body"]) for row in rows]):
        _mark(session, supernet, scope)


class Lost(NamedTuple):
    """A best point that a search gave: its scope and cell, and its subnet."""

    scope: str
    subnet: str
    cell: int


def best_of_search(session: Session, search: str) -> list[Lost]:
    """The best points that a search gave."""
    columns = sa.select(BestPoint.scope, BestPoint.subnet_id, BestPoint.cell)
    query = columns.join(Point, Point.id == BestPoint.point_id).where(Point.search_id == search)
    return [Lost(*row) for row in session.execute(query)]


def restore(session: Session, supernet: Supernet, lost: Sequence[Lost]) -> None:
    """After best points were deleted: let the newest points left of their subnets take their places."""
    if not lost:
        return
    _lock(session, supernet)
    subnets, changed = sorted({each.subnet for each in lost}), {each.scope for each in lost}
    for name in changed:
        mine = {each.subnet: each.cell for each in lost if each.scope == name}
        remove(session, _scope(supernet, name), mine)
    for start in range(0, len(subnets), INSERT_CHUNK):
        part = subnets[start : start + INSERT_CHUNK]
        columns = sa.select(Point.search_id, Point.created_at, Point.id, Point.body)
        ours = (Point.project_id == supernet.project_id, Point.supernet_id == supernet.id)
        query = columns.where(*ours, Point.subnet_id.in_(part)).order_by(Point.created_at)
        searches: dict[str, list[tuple[str, Mapping[str, object]]]] = {}
        for row in session.execute(query):
            searches.setdefault(row.search_id, []).append((row.id, row.body))
        # Points of a search were written best first, those of the newest search last.
        newest = [point for points in reversed(searches.values()) for point in points]
        changed.update(_take(session, supernet, newest))
    for scope in sorted(changed):
        _mark(session, supernet, scope)


def best_points(
    session: Session,
    supernet: Supernet,
    target: str | None,
    limits: Sequence[Constraint],
    most: int | None = None,
) -> tuple[list[FrontPoint], int]:
    """The non-dominated points within limits, best first, and how many there are.

    With ``most``, at most this many of them, well spread. The session is a snapshot, or has the lock of the supernet: a
    write must not move points between two reads.
    A point that limits exclude does not push one that they allow out of the front. Which points are returned follows
    from their values alone, so that no others are read.
    """
    scope = _scope(supernet, target or ANY)
    if all(_closed(supernet, limit, target) for limit in limits):
        found = within(_whole(session, scope), limits)
    else:
        found = front_within(session, scope, supernet.quality, limits)
    scores = found.low[:, OBJECTIVES]
    order = np.lexsort((np.array(found.ids), scores[:, 1], scores[:, 0]))
    if most is not None and len(order) > most:
        order = order[sorted(spread(scores[order], most))]
    return points_of(session, scope, found.only(order).ids), len(found.ids)


def _whole(session: Session, scope: Scope) -> Page:
    columns = sa.select(BestPoint.subnet_id, BestPoint.quality, BestPoint.figures)
    rows = session.execute(columns.where(*scope.of(BestPoint), BestPoint.on_front))
    return Page.of_points(
        [PointRow(subnet_id=row.subnet_id, quality=row.quality, figures=row.figures) for row in rows]
    )


def points_of(session: Session, scope: Scope, subnets: Sequence[str]) -> list[FrontPoint]:
    """The best points of subnets, in their order."""
    # As text, which pydantic parses several times faster than the driver and pydantic in turn.
    body = sa.cast(Point.body, sa.Text)
    query = sa.select(body).join(BestPoint, BestPoint.point_id == Point.id).where(*scope.of(BestPoint))
    found: dict[str, FrontPoint] = {}
    for start in range(0, len(subnets), INSERT_CHUNK):
        part = query.where(BestPoint.subnet_id.in_(subnets[start : start + INSERT_CHUNK]))
        points = map(FrontPoint.model_validate_json, session.scalars(part))
        found |= {point.subnet: point for point in points}
    return [found[subnet] for subnet in subnets]


def _take(
    session: Session, supernet: Supernet, points: Sequence[tuple[str, Mapping[str, object]]]
) -> list[str]:
    """Let points replace older ones of their subnets; the changed scopes.

    Of several of one subnet the first is taken, and of those of one search with a front for each target, that of the
    scope's own front.
    """
    quality = supernet.quality
    scopes: dict[str, dict[str, BestRow]] = {}
    taken: dict[tuple[str, str], FrontPoint] = {}
    for id, body in points:
        point = FrontPoint.model_validate(body)
        for scope in (ANY, *dict.fromkeys(each.target for each in point.measured)):
            held = taken.get((scope, point.subnet))
            if held is not None and not _of_own_front(point, held, scope):
                continue
            row = _row(supernet, quality, id, point, scope)
            if row is not None:
                scopes.setdefault(scope, {})[point.subnet] = row
                taken[scope, point.subnet] = point
    for scope, rows in scopes.items():
        _replace(session, _scope(supernet, scope), rows)
    return list(scopes)


def _of_own_front(point: FrontPoint, held: FrontPoint, scope: str) -> bool:
    """Whether a point is of the scope's own front in a search that has put the subnet on another target's too."""
    return point.search == held.search and point.target == scope and held.target not in (None, scope)


def _row(supernet: Supernet, quality: str, id: str, point: FrontPoint, scope: str) -> BestRow | None:
    target = point.target if scope == ANY else scope
    figures = {name: true_value(point, name, target) for name in METRICS}
    known = {name: value for name, value in figures.items() if math.isfinite(value)}
    if quality not in known or LATENCY not in known:
        return None
    return {
        "project_id": supernet.project_id,
        "supernet_id": supernet.id,
        "scope": scope,
        "subnet_id": point.subnet,
        "point_id": id,
        "quality": METRICS[quality].sign * known[quality],
        "latency": known[LATENCY],
        "figures": known,
        "on_front": False,
    }


def _replace(session: Session, scope: Scope, rows: Mapping[str, BestRow]) -> None:
    """Write the best points of subnets, instead of the ones before."""
    subnets = list(rows)
    for start in range(0, len(subnets), INSERT_CHUNK):
        part = (*scope.of(BestPoint), BestPoint.subnet_id.in_(subnets[start : start + INSERT_CHUNK]))
        old = session.execute(sa.select(BestPoint.subnet_id, BestPoint.cell).where(*part))
        remove(session, scope, {row.subnet_id: row.cell for row in old})
        session.execute(sa.delete(BestPoint).where(*part))
    insert(session, scope, list(rows.values()))


def _mark(session: Session, supernet: Supernet, name: str) -> None:
    """Mark the points that are on the front of a scope now."""
    scope = _scope(supernet, name)
    query = sa.select(BestPoint.subnet_id).where(*scope.of(BestPoint), BestPoint.on_front)
    before = set(session.scalars(query))
    after = set(front_within(session, scope, supernet.quality).ids)
    for subnets, value in ((after - before, True), (before - after, False)):
        changed = sorted(subnets)
        for start in range(0, len(changed), INSERT_CHUNK):
            part = changed[start : start + INSERT_CHUNK]
            mark = sa.update(BestPoint).where(*scope.of(BestPoint), BestPoint.subnet_id.in_(part))
            session.execute(mark.values(on_front=value))


def _lock(session: Session, supernet: Supernet) -> None:
    """One writer at a time: others would not see the cells that this one makes."""
    session.execute(sa.select(Supernet.id).where(Supernet.id == supernet.id).with_for_update())


def _scope(supernet: Supernet, scope: str) -> Scope:
    return Scope(supernet.project_id, supernet.id, scope)


def _closed(supernet: Supernet, limit: Constraint, target: str | None) -> bool:
    """Whether the front within a limit is the part of the front that meets it: it bounds an objective's bad side."""
    upper = limit.metric == LATENCY and limit.target in (None, target) and limit.min is None
    lower = limit.metric == supernet.quality and (
        limit.max is None if METRICS[limit.metric].sign < 0 else limit.min is None
    )
    return upper or lower
