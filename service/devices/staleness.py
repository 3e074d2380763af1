"""When what was measured on a target no longer holds: another runtime, or another speed of the reference.

Another version of the measuring protocol is in :mod:`service.devices.protocols`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import sqlalchemy as sa

from service.db.tables import Measurement, Target, now

Json = dict[str, Any]
# One busy run is no other device: only several runs in a row, all off in the same direction, are.
DRIFT = 0.15
DRIFT_RUNS = 3


def runtime_changed(there: Mapping[str, Any], here: Mapping[str, Any]) -> str | None:
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
    """Why the last runs say that the device is another one, or None."""
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
