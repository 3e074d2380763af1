"""The front of everything stored, kept by every write: exact, and read at once however many points there are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from search.constraints import Constraint
from search.fronts.front import non_dominated
from service.db.queries import INSERT_CHUNK, insert_new
from service.db.tables import BestPoint, Point, Supernet
from service.search.fronts.views import true_value
from service.search.request.schemas import FrontPoint
from supernets.metrics import LATENCY, METRICS

ANY = "any"
"""Scope of the front over all targets; other scopes are ids of targets."""


def store_points(session: Session, supernet: Supernet, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write points of fronts, best first, and what they change on the fronts of everything."""
    session.execute(sa.select(Supernet.id).where(Supernet.id == supernet.id).with_for_update())
    insert_new(session, Point, rows)
    _take(session, supernet, [(row["id"], row["body"]) for row in rows])


def rebuild(session: Session, supernet: Supernet) -> None:
    """Make the fronts of a supernet again from all its points, as after a search was deleted."""
    session.execute(sa.delete(BestPoint).where(BestPoint.supernet_id == supernet.id))
    query = (
        sa.select(Point.id, Point.body)
        .where(Point.project_id == supernet.project_id, Point.supernet_id == supernet.id)
        .order_by(Point.created_at, Point.search_id, Point.rank.desc())
        .execution_options(yield_per=INSERT_CHUNK)
    )
    for part in session.execute(query).partitions():
        _take(session, supernet, [(id, body) for id, body in reversed(part)])


def best_points(
    session: Session, supernet: Supernet, target: str | None, limits: Sequence[Constraint]
) -> list[FrontPoint]:
    """The non-dominated points within limits, and those of the whole front, which a reason may name.

    A point that limits exclude does not push one that they allow out of the front.
    """
    scope = target or ANY
    whole = session.scalars(
        sa.select(BestPoint.point_id).where(*_scope(supernet, scope), BestPoint.on_front)
    ).all()
    ids = list(whole)
    if not all(_closed(supernet, limit, target) for limit in limits):
        ids += [id for id in _front_within(session, supernet, scope, limits) if id not in set(whole)]
    bodies: list[FrontPoint] = []
    for start in range(0, len(ids), INSERT_CHUNK):
        query = sa.select(Point.body).where(Point.id.in_(ids[start : start + INSERT_CHUNK]))
        bodies += [FrontPoint.model_validate(body) for body in session.scalars(query)]
    return bodies


def _take(session: Session, supernet: Supernet, points: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Let points replace older ones of their subnets; of several of one subnet the first counts."""
    quality = supernet.manifest["quality"]
    scopes: dict[str, dict[str, dict[str, Any]]] = {}
    for id, body in points:
        point = FrontPoint.model_validate(body)
        for scope in (ANY, *dict.fromkeys(each.target for each in point.measured)):
            row = _row(supernet, quality, id, point, scope)
            if row is not None:
                scopes.setdefault(scope, {}).setdefault(point.subnet, row)
    for scope, rows in scopes.items():
        _replace(session, supernet, scope, rows)


def _row(supernet: Supernet, quality: str, id: str, point: FrontPoint, scope: str) -> dict[str, Any] | None:
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


def _replace(session: Session, supernet: Supernet, scope: str, rows: Mapping[str, dict[str, Any]]) -> None:
    """Write rows of a scope, and update its front: among the old front and the rows, where that is enough."""
    subnets, replaced = list(rows), 0
    for start in range(0, len(subnets), INSERT_CHUNK):
        part = subnets[start : start + INSERT_CHUNK]
        old = sa.delete(BestPoint).where(
            *_scope(supernet, scope), BestPoint.subnet_id.in_(part), BestPoint.on_front
        )
        replaced += session.execute(old).rowcount  # type: ignore[attr-defined]
        session.execute(sa.delete(BestPoint).where(*_scope(supernet, scope), BestPoint.subnet_id.in_(part)))
        session.execute(sa.insert(BestPoint), [rows[subnet] for subnet in part])
    # A replaced member of the front may have dominated others: then all must be compared again.
    query = sa.select(BestPoint.subnet_id, BestPoint.quality, BestPoint.latency, BestPoint.on_front)
    query = query.where(*_scope(supernet, scope))
    if not replaced:
        query = query.where(sa.or_(BestPoint.on_front, BestPoint.subnet_id.in_(subnets)))
    found = session.execute(query).all()
    front = non_dominated(np.array([(row.quality, row.latency) for row in found], dtype=np.float64))
    for value in (True, False):
        changed = [
            row.subnet_id
            for row, member in zip(found, front, strict=True)
            if bool(member) is value and row.on_front is not value
        ]
        for start in range(0, len(changed), INSERT_CHUNK):
            part = changed[start : start + INSERT_CHUNK]
            mark = sa.update(BestPoint).where(*_scope(supernet, scope), BestPoint.subnet_id.in_(part))
            session.execute(mark.values(on_front=value))


def _closed(supernet: Supernet, limit: Constraint, target: str | None) -> bool:
    """Whether the front within a limit is the part of the front that meets it: it bounds an objective's bad side."""
    upper = limit.metric == LATENCY and limit.target in (None, target) and limit.min is None
    lower = limit.metric == supernet.manifest["quality"] and (
        limit.max is None if METRICS[limit.metric].sign < 0 else limit.min is None
    )
    return upper or lower


def _front_within(
    session: Session, supernet: Supernet, scope: str, limits: Iterable[Constraint]
) -> list[str]:
    """Points that no other within the limits dominates."""
    conditions = [*_scope(supernet, scope)]
    for limit in limits:
        figure = BestPoint.figures[limit.metric].as_float()
        conditions += [figure <= limit.max] if limit.max is not None else []
        conditions += [figure >= limit.min] if limit.min is not None else []
    query = sa.select(BestPoint.point_id, BestPoint.quality, BestPoint.latency).where(*conditions)
    found = session.execute(query).all()
    if not found:
        return []
    front = non_dominated(np.array([(row.quality, row.latency) for row in found], dtype=np.float64))
    return [found[int(index)].point_id for index in np.flatnonzero(front)]


def _scope(supernet: Supernet, scope: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        BestPoint.project_id == supernet.project_id,
        BestPoint.supernet_id == supernet.id,
        BestPoint.scope == scope,
    )
