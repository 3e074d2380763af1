"""The precision of a file whose request names a target and no precision."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from service.db.tables import Export, Subnet, Target
from supernets.metrics import CLEARLY, LATENCY

FULL = "fp32"


def fastest_precision(session: Session, project: str, supernet: str, target: Target) -> str:
    """The precision that is clearly faster than fp32 on the machine of ``target``, or fp32.

    What counts is the median of latency over that of fp32, measured together on one thread whenever a subnet of this
    supernet was exported in another precision on that machine. Where nothing was, or the target has several threads,
    the answer is fp32: int8 is slower on processors without an instruction for 8-bit dot products.
    """
    if target.settings.get("threads", 1) != 1:
        return FULL
    query = (
        sa.select(Export.precision, Export.parity)
        .join(Subnet, Subnet.id == Export.subnet_id)
        .where(
            Export.project_id == project,
            Subnet.supernet_id == supernet,
            Export.precision != FULL,
            Export.sha256.is_not(None),
        )
    )
    ratios: dict[str, list[float]] = {}
    for precision, parity in session.execute(query):
        change = (parity or {}).get("change") or {}
        if change.get("device") is not None and change["device"] == target.description.get("device"):
            ratios.setdefault(precision, []).append(_ratio(change, precision))
    medians = {precision: statistics.median(found) for precision, found in ratios.items()}
    best = min(medians, key=medians.__getitem__, default=FULL)
    return best if medians.get(best, 1.0) < CLEARLY else FULL


def _ratio(change: Mapping[str, Any], precision: str) -> float:
    times: Mapping[str, float] = change[LATENCY]
    return times[change["activation"] or precision] / times[FULL]
