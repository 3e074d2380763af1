"""About how long a network takes on known targets, from the costs of other measured networks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from predictors.latency.rough import held_out_error, rough_model
from service.conversions.schemas import RoughLatency
from service.db.tables import Measurement, Subnet, Target
from supernets.convert.records import Ends
from supernets.metrics import ACTIVATION, LATENCY, MACS, PARAMS

COSTS = (MACS, PARAMS, ACTIVATION)
MOST_ROWS = 2000
FEWEST_ROWS = 8


def rough_latencies(
    session: Session, project: str, costs: Mapping[Ends, Mapping[str, float]]
) -> list[RoughLatency]:
    """One for each target with enough measured subnets; ``costs`` of ``smallest`` and ``largest``, by name."""
    ends: tuple[Ends, ...] = ("smallest", "largest")
    known = [name for name in COSTS if all(name in each for each in costs.values())]
    query = (
        sa.select(Measurement.target_id, Measurement.supernet_id, Measurement.value, Subnet.costs)
        .join(Subnet, Subnet.id == Measurement.subnet_id)
        .where(
            Measurement.project_id == project,
            Measurement.metric == LATENCY,
            Measurement.target_id.is_not(None),
        )
        .order_by(Measurement.id.desc())
        .limit(MOST_ROWS)
    )
    rows: dict[str, list[tuple[str, float, list[float]]]] = {}
    for target, supernet, value, own in session.execute(query):
        if target is not None and all(name in own for name in known):
            rows.setdefault(target, []).append((supernet, value, [float(own[name]) for name in known]))
    targets = session.scalars(
        sa.select(Target).where(Target.id.in_(rows), Target.archived_at.is_(None)).order_by(Target.name)
    )
    asked = np.array([[costs[end][name] for name in known] for end in ends])
    return [
        _rough(target, rows[target.id], asked) for target in targets if len(rows[target.id]) >= FEWEST_ROWS
    ]


def _rough(
    target: Target, rows: list[tuple[str, float, list[float]]], ends: NDArray[np.float64]
) -> RoughLatency:
    owners = [owner for owner, _, _ in rows]
    values, costs = np.array([value for _, value, _ in rows]), np.array([own for _, _, own in rows])
    smallest, largest = rough_model(costs, values)(ends).tolist()
    return RoughLatency(
        target=target.id,
        name=target.name,
        smallest=smallest,
        largest=largest,
        rows=len(rows),
        error=held_out_error(costs, values, owners),
    )
