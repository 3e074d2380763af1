"""Queries on measurements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from service.db.counts import counts_by_scope
from service.db.tables import (
    Measurement,
    Subnet,
    Target,
    Unsupported,
)
from service.devices.staleness import still_holds


def scope_of(target: str | None, split: str = "validation") -> str:
    """The scope of measurements as stored: on a target, or on a split."""
    return f"split:{split}" if target is None else f"target:{target}"


def part_scope(split: str = "validation") -> str:
    """The scope of evaluations on a part of a split."""
    return f"part:{split}"


def learned_scopes(target: str | None) -> list[str]:
    """Scopes whose rows a predictor learns from: a target, or validation and a part of it."""
    return [scope_of(target)] if target is not None else [scope_of(None), part_scope()]


def measured_rows(
    session: Session, project: str, supernet: str, metric: str, scope: str
) -> list[tuple[dict[str, Any], Measurement]]:
    """Every ``(arch, measurement)`` of a metric on a target or split, oldest first.

    What was measured before its target was refreshed no longer counts.
    """
    query = (
        sa.select(Subnet.arch, Measurement)
        .join(Subnet, Subnet.id == Measurement.subnet_id)
        .outerjoin(Target, Target.id == Measurement.target_id)
        .where(
            still_holds(),
            Measurement.project_id == project,
            Measurement.supernet_id == supernet,
            Measurement.metric == metric,
            Measurement.scope == scope,
        )
        .order_by(Measurement.created_at, Measurement.id)
    )
    return [(arch, row) for arch, row in session.execute(query)]


def count_by_target(session: Session, project: str, supernets: Sequence[str], metric: str) -> dict[str, int]:
    """Target that is not stale to the number of subnets of these supernets measured on it."""
    counts = counts_by_scope(session, project, supernets, metric)
    query = sa.select(Target.id).where(Target.project_id == project, Target.stale.is_(None))
    return {id: counts[scope_of(id)] for id in session.scalars(query) if scope_of(id) in counts}


def unsupported_archs(
    session: Session, project: str, supernet: str, targets: Iterable[str]
) -> list[dict[str, object]]:
    """Archs that the runtime of one of these targets cannot run."""
    query = (
        sa.select(Subnet.arch)
        .join(Unsupported, Unsupported.subnet_id == Subnet.id)
        .where(
            Unsupported.project_id == project,
            Unsupported.supernet_id == supernet,
            Unsupported.target_id.in_(list(targets)),
        )
        .order_by(Unsupported.created_at, Unsupported.id)
    )
    return list(session.scalars(query))
