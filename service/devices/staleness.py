"""When rows of a target are stale: another runtime, another speed of the reference, or another protocol version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from predictors.measuring.protocol import PROTOCOL_VERSION
from service.db.tables import Measurement, Target, now

Json = dict[str, object]
# One busy run is no other device: only several runs in a row, all off in the same direction, are.
DRIFT = 0.15
DRIFT_RUNS = 3


def runtime_changed(there: Mapping[str, object], here: Mapping[str, object]) -> str | None:
    """How a device's runtime differs from the one that a target was measured with, or None."""
    names = [name for name in ("name", "version", "providers") if there.get(name) != here.get(name)]
    if not names:
        return None
    parts = [f"{name} was {there.get(name)!r}, is {here.get(name)!r}" for name in names]
    return f"the runtime has changed: {'; '.join(parts)}"


def mark(target: Target, reason: str) -> None:
    """Everything measured on a target is stale from now on, until it is refreshed."""
    target.stale = {"reason": reason, "since": now().isoformat()}


def note_drift(target: Target, timings: Sequence[Mapping[str, Any]]) -> None:
    """Remember how far the reference nets were from their calibration in a run."""
    drifts = [timing["reference"]["drift"] for timing in timings if timing.get("reference")]
    if drifts:
        target.drifts = [*target.drifts, float(np.median(drifts))][-DRIFT_RUNS:]


def drift_reason(drifts: Sequence[float]) -> str | None:
    """Why the last runs show another device, or None."""
    if len(drifts) < DRIFT_RUNS:
        return None
    for word, off in (
        ("slower", [d > 1 + DRIFT for d in drifts]),
        ("faster", [d < 1 - DRIFT for d in drifts]),
    ):
        if all(off):
            times = ", ".join(f"{drift:.2f}" for drift in drifts)
            return (
                f"the reference net was over {DRIFT:.0%} {word} than its calibration in the last "
                f"{DRIFT_RUNS} runs ({times} times)"
            )
    return None


def stale_reason(target: Target, at: datetime | None = None) -> str | None:
    """Why what was measured on a target (at this time) is stale, or None."""
    if target.stale is not None:
        return str(target.stale["reason"])
    if at is not None and target.valid_from is not None and at < target.valid_from:
        return f"the target was refreshed at {target.valid_from:%Y-%m-%d %H:%M} UTC, this is older"
    return drift_reason(target.drifts or [])


def still_holds() -> sa.ColumnElement[bool]:
    """A measurement is no older than its target's last refresh; for queries that outer join the target."""
    return sa.or_(Target.valid_from.is_(None), Measurement.created_at >= Target.valid_from)


def protocol_changed(session: Session, target: str) -> str | None:
    """How the protocol that a target was measured by differs from this version's, or None."""
    return _reason(protocols_of(session, target))


def mark_other_protocols(session: Session) -> int:
    """Every target with rows of another version that still hold is stale from now on; returns how many."""
    found = targets_of_other_protocols(session, str(PROTOCOL_VERSION))
    for target in found:
        reason = protocol_changed(session, target.id)
        if reason is not None:
            mark(target, reason)
    return len(found)


def _reason(there: Sequence[str]) -> str | None:
    here = str(PROTOCOL_VERSION)
    others = [version for version in there if version != here]
    if not others:
        return None
    also = ", some of it by this one already" if here in there else ""
    return (
        f"the measuring protocol has changed: it was measured by version {' and '.join(others)}{also}, "
        f"this is version {here}, on another scale"
    )


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
