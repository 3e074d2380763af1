"""Queries on subnets and their exports."""

from __future__ import annotations

import json
from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session

from service.db.tables import Export
from supernets.export.metadata import PREFIX


def exports_of(session: Session, project: str, subnet: str) -> list[Export]:
    """Every export of a subnet, newest first."""
    query = sa.select(Export).where(Export.project_id == project, Export.subnet_id == subnet)
    return list(session.scalars(query.order_by(Export.created_at.desc(), Export.id.desc())))


def finished_export(
    session: Session, project: str, subnet: str, licence: str | None, like: Mapping[str, str | int | None]
) -> Export | None:
    """The newest finished export whose columns have these values and whose file states this licence, or none.

    None is compared too.
    """
    query = sa.select(Export).where(
        Export.project_id == project,
        Export.subnet_id == subnet,
        Export.sha256.is_not(None),
        *(getattr(Export, column) == value for column, value in like.items()),
    )
    found = session.scalars(query.order_by(Export.created_at.desc(), Export.id.desc()))
    return next((each for each in found if states_licence(each, licence)), None)


def states_licence(export: Export, licence: str | None) -> bool:
    """Whether the file of an export states this licence, or none where it is None; a file without facts may."""
    if not export.facts:
        return True
    stated = export.facts.get(f"{PREFIX}licence")
    return (None if stated is None else json.loads(stated)) == licence
