"""Deleting resources: what nothing refers to is deleted, everything else is archived.

An archived resource can still be read by its id, so that everything that refers to it stays complete. It is left out of
lists, its name is free again, and nothing new can be made with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from service.db.tables import (
    Agent,
    BestPoint,
    Export,
    FineTune,
    Item,
    Job,
    Key,
    Lease,
    Measurement,
    Order,
    Owned,
    Point,
    Predictor,
    Search,
    SearchLabel,
    Subnet,
    Supernet,
    Target,
    Unsupported,
    now,
)
from service.errors import ConflictError

FINAL = ("succeeded", "failed", "cancelled")
Removable = Supernet | Target | Predictor | Search
MADE_BY_JOBS: Mapping[str, type[Search | Predictor | Export | FineTune]] = {
    "search": Search,
    "predictor": Predictor,
    "export": Export,
    "finetune": FineTune,
}
"""Resources that exist before the job that makes them has ended, by type."""


def remove_target(session: Session, row: Target, *, but: str | None = None) -> dict[str, int]:
    """Delete or archive a target; see :func:`_remove`."""
    tables = (Measurement, Unsupported, Order, Item, Lease, Predictor, Key)
    references = {each.__tablename__: _count(session, each.target_id == row.id) for each in tables}
    references["searches"] = _searches_naming(session, row)
    return _remove(session, row, references, [sa.delete(Agent).where(Agent.target_id == row.id)], but)


def remove_supernet(session: Session, row: Supernet, *, but: str | None = None) -> dict[str, int]:
    """Delete or archive a supernet; see :func:`_remove`."""
    tables = (Subnet, Measurement, Predictor, Search)
    references = {each.__tablename__: _count(session, each.supernet_id == row.id) for each in tables}
    return _remove(session, row, references, [], but)


def remove_predictor(session: Session, row: Predictor) -> dict[str, int]:
    """Delete or archive a predictor; see :func:`_remove`."""
    return _remove(session, row, {"searches": _searches_naming(session, row)})


def remove_search(session: Session, row: Search) -> dict[str, int]:
    """Delete a search with its front, or archive it where another one extends it; see :func:`_remove`."""
    references = {"searches": _count(session, Search.extends_id == row.id)}
    points = sa.select(Point.id).where(Point.search_id == row.id)
    owned = [
        sa.delete(BestPoint).where(BestPoint.point_id.in_(points)),
        sa.delete(Point).where(Point.search_id == row.id),
        sa.delete(SearchLabel).where(SearchLabel.id == row.id),
    ]
    return _remove(session, row, references, owned)


def _remove(
    session: Session,
    row: Removable,
    references: Mapping[str, int],
    owned: Sequence[sa.Delete] = (),
    but: str | None = None,
) -> dict[str, int]:
    """What refers to the row, by table; the row is archived if anything does, otherwise deleted with what it owns.

    Raises:
        ConflictError: a job that has not ended uses it, other than the job ``but``.
    """
    for job in session.scalars(
        sa.select(Job).where(Job.project_id == row.project_id, Job.state.not_in(FINAL))
    ):
        if job.id != but and row.id in _named_by(session, job):
            raise ConflictError(
                f"{row.id} is used by job {job.id} ({job.kind}, {job.state}); cancel it or wait for its end"
            )
    found = {name: count for name, count in references.items() if count}
    if not found:
        for statement in owned:
            session.execute(statement)
        session.delete(row)
    elif row.archived_at is None:
        row.archived_at = now()
        if isinstance(row, Supernet | Target):
            row.name_key = f"{row.name_key}#{row.id}"
    session.flush()
    return found


def _named_by(session: Session, job: Job) -> str:
    """The ids that a job names in its parameters, and those of what its resource is made with, as text."""
    named: list[object] = [job.resource_id, job.params]
    kind = MADE_BY_JOBS.get(job.resource_type or "")
    made = None if kind is None else session.get(kind, job.resource_id)
    if isinstance(made, Search):
        named += [made.supernet_id, made.spec, made.provenance]
    elif isinstance(made, Predictor):
        named += [made.supernet_id, made.target_id]
    elif isinstance(made, Export | FineTune):
        named.append(session.get_one(Subnet, made.subnet_id).supernet_id)
    return json.dumps(named)


def _count(session: Session, condition: sa.ColumnElement[bool]) -> int:
    return session.scalar(sa.select(sa.func.count()).where(condition)) or 0


def _searches_naming(session: Session, row: Owned) -> int:
    """Searches that name a target or predictor in their request or provenance."""
    rows = session.execute(
        sa.select(Search.spec, Search.provenance).where(Search.project_id == row.project_id)
    )
    return sum(row.id in json.dumps([spec, provenance]) for spec, provenance in rows)
