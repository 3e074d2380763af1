"""Labels of searches, and the list of those that have them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from service.db.tables import Search, SearchLabel

Label = tuple[str, str]
COUNTED = 500
"""Of several labels the rarest drives the list; more searches than this are all common."""


def add_labels(session: Session, row: Search, labels: Mapping[str, str]) -> None:
    """Write the labels of a new search."""
    common = {"id": row.id, "project_id": row.project_id, "created_at": row.created_at}
    session.add_all(SearchLabel(**common, name=name, value=value) for name, value in labels.items())


def _rarest_first(session: Session, project: str, labels: Collection[Label]) -> list[Label]:
    """Labels by how many searches have them."""
    if len(labels) < 2:
        return list(labels)

    def count(label: Label) -> int:
        some = sa.select(SearchLabel.id).where(*_with(project, *label)).limit(COUNTED)
        return len(session.scalars(some).all())

    return sorted(labels, key=count)


def with_labels(session: Session, project: str, labels: Collection[Label]) -> list[sa.ColumnElement[bool]]:
    """Conditions of a list through :class:`SearchLabel`: searches that have all these labels, at least one."""
    first, *others = _rarest_first(session, project, labels)
    found = [*_with(project, *first)]
    for name, value in others:
        other = aliased(SearchLabel)
        found.append(sa.exists().where(other.id == SearchLabel.id, other.name == name, other.value == value))
    return found


def _with(project: str, name: str, value: str) -> tuple[sa.ColumnElement[bool], ...]:
    return SearchLabel.project_id == project, SearchLabel.name == name, SearchLabel.value == value
