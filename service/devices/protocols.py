"""Targets that were measured by another version of the protocol: new rows would be on another scale than theirs."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from predictors.measuring.protocol import PROTOCOL_VERSION
from service.devices.protocol_queries import protocols_of, targets_of_other_protocols
from service.devices.staleness import mark


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
