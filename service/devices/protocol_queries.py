"""By which versions of the measuring protocol the rows of targets were made."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from service.db.tables import Measurement, Target
from service.devices.staleness import still_holds


def protocols_of(session: Session, target: str) -> list[str]:
    """Versions of the protocol among the rows of a target that are not stale; imported rows have none."""
    query = (
        sa.select(Measurement.protocol_version)
        .distinct()
        .join(Target, Target.id == Measurement.target_id)
        .where(still_holds(), Target.id == target, Measurement.protocol_version.is_not(None))
    )
    return sorted(str(version) for version in session.scalars(query))


def targets_of_other_protocols(session: Session, version: str) -> list[Target]:
    """Targets of every project, not stale yet, with rows of another version that still hold."""
    other = (
        sa.select(Measurement.id)
        .where(
            Measurement.target_id == Target.id,
            still_holds(),
            Measurement.protocol_version.is_not(None),
            Measurement.protocol_version != version,
        )
        .correlate(Target)
        .exists()
    )
    return list(session.scalars(sa.select(Target).where(Target.stale.is_(None), other)))
