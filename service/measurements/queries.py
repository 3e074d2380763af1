"""Queries on measurements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

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


def count_measured(session: Session, project: str, supernet: str, metric: str, scope: str) -> int:
    """Number of distinct subnets with a value of this metric on this target or split."""
    query = (
        sa.select(sa.func.count(sa.distinct(Measurement.subnet_id)))
        .outerjoin(Target, Target.id == Measurement.target_id)
        .where(
            still_holds(),
            Measurement.project_id == project,
            Measurement.supernet_id == supernet,
            Measurement.metric == metric,
            Measurement.scope == scope,
        )
    )
    return session.scalar(query) or 0


def count_by_target(session: Session, project: str, supernets: Sequence[str], metric: str) -> dict[str, int]:
    """Target that is not stale to the number of distinct subnets of these supernets measured on it."""
    query = (
        sa.select(Measurement.target_id, sa.func.count(sa.distinct(Measurement.subnet_id)))
        .join(Target, Target.id == Measurement.target_id)
        .where(
            still_holds(),
            Target.stale.is_(None),
            Measurement.project_id == project,
            Measurement.supernet_id.in_(supernets),
            Measurement.metric == metric,
            Measurement.target_id.is_not(None),
        )
        .group_by(Measurement.target_id)
    )
    return {str(target): int(count) for target, count in session.execute(query)}


def unsupported_archs(
    session: Session, project: str, supernet: str, targets: Iterable[str]
) -> list[dict[str, Any]]:
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
