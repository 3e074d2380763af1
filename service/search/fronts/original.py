"""The network that a supernet was converted from, as a row shown with the fronts of its subnets."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from service.db.tables import Measurement, Subnet, Supernet, Target
from service.devices.staleness import still_holds
from service.search.request.schemas import MeasuredValue, OriginalView, QualityValue
from supernets.metrics import METRICS
from supernets.spaces.space import Arch


def original_of(session: Session, supernet: Supernet, targets: Sequence[str] | None) -> OriginalView | None:
    """Quality of the network as it came, and what was measured of it on these targets (None: on all).

    None for a supernet that was not converted. It is the largest subnet, so measuring that on a target measures it.
    """
    row = supernet.manifest.get("report", {}).get("original")
    if not isinstance(row, dict) or "arch" not in row:
        return None
    arch = Arch(tuple(sorted(row["arch"].items())))
    subnet = session.scalars(
        sa.select(Subnet.id).where(
            Subnet.project_id == supernet.project_id,
            Subnet.supernet_id == supernet.id,
            Subnet.arch_id == arch.id,
        )
    ).first()
    return OriginalView(
        subnet=subnet,
        arch=row["arch"],
        costs=row["costs"],
        quality=_quality(row, "test"),
        validation=_quality(row, "validation"),
        measured=[] if subnet is None else _measured(session, supernet, subnet, targets),
    )


def _quality(row: dict[str, object], split: str) -> QualityValue | None:
    found = row.get(split)
    if not isinstance(found, dict):
        return None
    return QualityValue(**{"split": split, "precision": "fp32", **found})


def _measured(
    session: Session, supernet: Supernet, subnet: str, targets: Sequence[str] | None
) -> list[MeasuredValue]:
    """The newest value of each metric on each target."""
    query = (
        sa.select(Measurement)
        .join(Target, Target.id == Measurement.target_id)
        .where(still_holds(), Measurement.project_id == supernet.project_id, Measurement.subnet_id == subnet)
        .order_by(Measurement.created_at, Measurement.id)
    )
    newest: dict[tuple[str, str], Measurement] = {}
    for found in session.scalars(query):
        target = found.target_id
        if target is None or METRICS[found.metric].source != "measured":
            continue
        if targets is None or target in targets:
            newest[found.metric, target] = found
    return [
        MeasuredValue(
            metric=metric,
            target=target,
            value=found.value,
            spread=found.spread,
            n=found.n,
            statistic=found.statistic,
            protocol_version=found.protocol_version,
            verdict=found.verdict,
            raw=found.details,
        )
        for (metric, target), found in newest.items()
    ]
