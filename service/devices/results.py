"""Results of agents: each row is checked and stored once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from sqlalchemy.orm import Session

from predictors.measuring.protocol import PROTOCOL_VERSION, Timing
from predictors.measuring.references import SIZES, reference_sha256
from service.db.tables import Agent, Item, Lease, Order, Target, now
from service.devices.lease_schemas import CalibrationRow, RefusedRow, ResultRow, ResultsCreate, ResultsView
from service.devices.leasing import give_up_on, settle, tell
from service.devices.staleness import note_drift
from service.errors import InvalidError
from service.problems import plain
from service.runtime import parts
from supernets.metrics import LATENCY

Json = dict[str, object]
UNIT_FACTOR = 100.0  # a latency that differs from its raw median by this factor is in another unit
SAME_SCALE = 1e-6


def record(session: Session, lease: Lease, target: Target, body: ResultsCreate) -> ResultsView:
    """Store the valid rows, return the others with reasons, and release the networks without a row.

    Idempotent. An expired lease may still return rows of networks that no other lease holds; rows of other
    networks are refused.

    Raises:
        InvalidError: a row of another file than the leased one, or calibrations of other reference networks.
    """
    order = session.get_one(Order, lease.order_id)
    agent = session.get_one(Agent, lease.agent_id)
    agent.seen_at = now()
    ids = [str(row.get("item")) for row in body.rows]
    items = parts.locked_items(session, order.id, ids)
    _check_hashes(body.rows, items)
    if target.calibrations is None and body.calibrations is not None and _of_this_protocol(body.rows):
        target.calibrations = _calibrations(body.calibrations)
    recorded = known = 0
    refused: list[RefusedRow] = []
    for raw, id in zip(body.rows, ids, strict=True):
        item = items.get(id)
        if item is not None and item.lease_id == lease.id and item.state == "done":
            known += 1
            continue
        fault = _fault(raw, id, item, lease, target)
        if isinstance(fault, RefusedRow):
            refused.append(fault)
            if item is not None and item.lease_id == lease.id:
                item.result = {"refused": f"{fault.field} must be {fault.allowed}, got {fault.got!r}"}
            continue
        assert item is not None
        item.state, item.result = "done", _result(fault, item, agent, lease)
        recorded += 1
    _close(session, lease, order, target, agent)
    return ResultsView(recorded=recorded, known=known, refused=refused)


def _close(session: Session, lease: Lease, order: Order, target: Target, agent: Agent) -> None:
    session.flush()
    parts.end_lease(session, lease, "closed")
    session.flush()
    give_up_on(session, order)
    items = [item for item in parts.items_of(session, order.id) if item.lease_id == lease.id]
    note_drift(target, [item.result["timing"] for item in items if item.state == "done" and item.result])
    tell(session, order, f"{agent.name} on {target.name}")
    settle(session, order)


def _check_hashes(rows: list[Json], items: Mapping[str, Item]) -> None:
    for index, row in enumerate(rows):
        item = items.get(str(row.get("item")))
        if item is not None and row.get("sha256") != item.file_sha256:
            raise InvalidError(
                f"rows.{index}.sha256",
                plain(row.get("sha256")),
                item.file_sha256,
                f"rows.{index}.sha256 must be that of the file given, {item.file_sha256}: another was measured",
            )


def _of_this_protocol(rows: list[Json]) -> bool:
    """Whether the rows sent with calibrations, which have no version, are of the current protocol version."""
    return all(row.get("protocol_version") == PROTOCOL_VERSION for row in rows)


def _calibrations(given: Mapping[str, CalibrationRow]) -> Json:
    expected = {name: reference_sha256(name) for name in SIZES}
    got = {name: row.sha256 for name, row in given.items()}
    if got != expected or any(name != row.name for name, row in given.items()):
        raise InvalidError("calibrations", got, expected)
    return {name: row.model_dump() for name, row in given.items()}


def _fault(raw: Json, id: str, item: Item | None, lease: Lease, target: Target) -> RefusedRow | ResultRow:
    """The row, or the reason for refusing it."""
    if item is None:
        return RefusedRow(item=id, field="item", got=id, allowed="a net of this lease")
    if item.lease_id != lease.id:
        allowed = "a network that no other agent has leased since"
        return RefusedRow(item=id, field="item", got=id, allowed=allowed)
    try:
        row = ResultRow.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        return RefusedRow(item=id, field=field, got=plain(first.get("input")), allowed=first["msg"])
    for field, got, allowed in _contradictions(row, target):
        return RefusedRow(item=id, field=field, got=got, allowed=allowed)
    return row


def _contradictions(row: ResultRow, target: Target) -> list[tuple[str, object, Any]]:
    """Impossible values of a row: ``(field, got, allowed)``."""
    if row.protocol_version != PROTOCOL_VERSION:
        return [("protocol_version", row.protocol_version, f"{PROTOCOL_VERSION}; update the agent")]
    if row.verdict in ("refused", "unsupported"):
        wrong = row.latency_ms is not None
        return [(LATENCY, row.latency_ms, f"absent with verdict {row.verdict}")] if wrong else []
    if row.latency_ms is None or row.standard_error_ms is None or row.raw_ms is None or row.reference is None:
        return [(LATENCY, row.latency_ms, "there with its error, raw times and reference")]
    found: list[tuple[str, object, object]] = []
    raw = row.raw_ms
    if not raw.min <= raw.p50 <= raw.p90:
        found.append(("raw_ms", raw.model_dump(), "in order: min <= p50 <= p90"))
    if not raw.p50 / UNIT_FACTOR <= row.latency_ms <= raw.p50 * UNIT_FACTOR:
        found.append((LATENCY, row.latency_ms, f"within a factor {UNIT_FACTOR:g} of raw p50, {raw.p50} ms"))
    known = (target.calibrations or {}).get(row.reference.name)
    scale = None if known is None else (known["sha256"], known[LATENCY])
    mine = row.reference.sha256, row.reference.calibrated_ms
    if scale is None or scale[0] != mine[0] or not math.isclose(scale[1], mine[1], rel_tol=SAME_SCALE):
        found.append(("reference", mine, f"on the scale of the target, {scale}"))
    return found


def _result(row: ResultRow, item: Item, agent: Agent, lease: Lease) -> Json:
    """The timing, with the agent that measured it."""
    fields = row.model_dump(exclude={"item", "extras"})
    fields |= {"raw_ms": fields["raw_ms"] or {}, "reference": fields["reference"] or {}}
    return {
        "timing": Timing(key=str(item.position), **fields).as_json(),
        "extras": {name: value.model_dump() for name, value in row.extras.items()},
        "provenance": {"agent": agent.name, "runtime": agent.description["runtime"], "lease": lease.id},
    }
