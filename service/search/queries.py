"""Queries on searches and fronts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from service.db.tables import Point, Target


def points_of_search(session: Session, project: str, search: str) -> list[dict[str, Any]]:
    """The stored front of a search, best first, as the API returns its points."""
    query = sa.select(Point.body).where(Point.project_id == project, Point.search_id == search)
    return list(session.scalars(query.order_by(Point.scope, Point.rank)))


def count_points(session: Session, project: str, search: str) -> int:
    """Size of the stored front of a search."""
    query = sa.select(sa.func.count()).where(Point.project_id == project, Point.search_id == search)
    return session.scalar(query) or 0


def target_names(session: Session, project: str) -> dict[str, str]:
    """Names of all targets by id, archived ones too."""
    query = sa.select(Target.id, Target.name).where(Target.project_id == project)
    return {row.id: row.name for row in session.execute(query)}


def labelled(spec: Any, labels: Mapping[str, str]) -> list[sa.ColumnElement[bool]]:
    """Rows whose ``spec`` column has all these labels."""
    return [spec["labels"][name].as_string() == value for name, value in labels.items()]
