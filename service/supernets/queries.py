"""Queries on supernets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from service.db.queries import INSERT_CHUNK, insert_new, with_ids
from service.db.tables import (
    Subnet,
    Supernet,
)
from service.ids import new_id
from supernets import FAMILIES


def supernets_of_space(session: Session, project: str, supernet: Supernet) -> list[str]:
    """The project's supernets whose space is that of ``supernet``, itself included."""
    rows = session.scalars(sa.select(Supernet).where(Supernet.project_id == project))
    return [row.id for row in rows if row.space_sha256 == supernet.space_sha256]


def supernets_of_networks(session: Session, project: str, supernet: Supernet) -> list[str]:
    """The project's supernets whose subnets cost what those of ``supernet`` cost, itself included.

    Equal spaces are not enough: a family has the same axes at any width of its layers. Settings that data determine
    (the number of classes) may differ.
    """
    rows = session.scalars(sa.select(Supernet).where(Supernet.project_id == project))
    own = _networks(supernet)
    return [row.id for row in rows if _networks(row) == own]


def _networks(row: Supernet) -> tuple[str, str, dict[str, object]]:
    """Space, family, and settings without those that data determine."""
    fitted = set(FAMILIES.load(row.family).fitted.values()) if row.family in FAMILIES else set()
    config = {name: value for name, value in row.config.items() if name not in fitted}
    return row.space_sha256, row.family, config


def ensure_subnets(
    session: Session,
    project: str,
    supernet: str,
    archs: Iterable[tuple[str, dict[str, Any], dict[str, float]]],
) -> dict[str, str]:
    """Rows for archs ``(arch id, arch, costs)`` that have none; returns arch id to subnet id."""
    entries = {arch_id: (arch, costs) for arch_id, arch, costs in archs}
    insert_new(
        session,
        Subnet,
        [
            {
                "id": new_id("sub"),
                "project_id": project,
                "supernet_id": supernet,
                "arch_id": arch_id,
                "arch": arch,
                "costs": costs,
            }
            for arch_id, (arch, costs) in entries.items()
        ],
    )
    found: dict[str, str] = {}
    ids = list(entries)
    for start in range(0, len(ids), INSERT_CHUNK):
        query = sa.select(Subnet.arch_id, Subnet.id).where(
            Subnet.project_id == project,
            Subnet.supernet_id == supernet,
            Subnet.arch_id.in_(ids[start : start + INSERT_CHUNK]),
        )
        found.update((arch_id, id) for arch_id, id in session.execute(query))
    return found


def archs_by_id(session: Session, project: str, supernet: str, limit: int) -> dict[str, dict[str, object]]:
    """Arch id to arch, of at most ``limit`` subnets of a supernet."""
    query = sa.select(Subnet.arch_id, Subnet.arch).where(
        Subnet.project_id == project, Subnet.supernet_id == supernet
    )
    return {row.arch_id: row.arch for row in session.execute(query.limit(limit))}


def archs_of(session: Session, project: str, ids: Iterable[str]) -> dict[str, dict[str, object]]:
    """Subnet id to arch."""
    query = sa.select(Subnet.id, Subnet.arch).where(with_ids(Subnet, project, ids))
    return {row.id: row.arch for row in session.execute(query)}
