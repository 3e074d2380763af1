"""Queries on searches and fronts."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from service.db import queries
from service.db.tables import Point, Search, Target
from service.errors import InvalidError


def points_of_search(session: Session, project: str, search: str) -> list[dict[str, object]]:
    """The stored front of a search, best first, as the API returns its points."""
    query = sa.select(Point.body).where(Point.project_id == project, Point.search_id == search)
    return list(session.scalars(query.order_by(Point.scope, Point.rank)))


def count_points(session: Session, project: str, searches: Sequence[str]) -> dict[str, int]:
    """Sizes of the stored fronts of searches, by id; of those that have one."""
    query = sa.select(Point.search_id, sa.func.count().label("points")).where(
        Point.project_id == project, Point.search_id.in_(searches)
    )
    return {row.search_id: row.points for row in session.execute(query.group_by(Point.search_id))}


def target_names(session: Session, project: str) -> dict[str, str]:
    """Names of all targets by id, archived ones too."""
    query = sa.select(Target.id, Target.name).where(Target.project_id == project)
    return {row.id: row.name for row in session.execute(query)}


def target_of(session: Session, project: str, search: Search, text: str | None) -> str | None:
    """The id of the target of a search that a request names by id or name; None where it names none."""
    if text is None:
        return None
    row = queries.named(session, project, Target, text)
    if row is None or row.id not in search.spec["targets"]:
        raise InvalidError("target", text, search.spec["targets"])
    return row.id
