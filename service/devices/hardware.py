"""Hardware targets from their rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from predictors import TARGETS
from predictors.errors import MeasureError
from predictors.measuring.protocol import Calibration
from predictors.targets.cpu import CpuTarget, measurable
from predictors.targets.target import Target
from service.db.tables import Target as TargetRow
from service.db.tables import now
from service.errors import ConflictError, InvalidError


def is_remote(kind: str) -> bool:
    """Whether targets of this kind are measured by agents on other machines."""
    return bool(TARGETS.load(kind).remote)


def make_target(
    kind: str, settings: Mapping[str, Any], calibrations: Mapping[str, Any] | None = None
) -> Target:
    """The target of this kind; raises ``InvalidError`` or ``ProtocolError`` for bad settings."""
    known = {name: Calibration(**value) for name, value in (calibrations or {}).items()}
    target: Target = TARGETS.load(kind)(check_settings(kind, settings), known)
    return target


def check_settings(kind: str, settings: Mapping[str, Any]) -> Any:
    """Settings of a kind with their defaults; raises ``InvalidError`` or ``ProtocolError``."""
    wanted = TARGETS.load(kind).settings_type
    for name, value in settings.items():
        _check_setting(wanted, name, value)
    return wanted(**settings)


def describe(kind: str, settings: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """What a new target is described as, and its fingerprint: empty while no agent has shown the device."""
    if is_remote(kind):
        empty = {"device": None, "runtime": None}
        return {"kind": kind, **empty, "settings": check_settings(kind, settings).as_json()}, ""
    target = make_target(kind, settings)
    return target.describe(), target.fingerprint


def metrics_of(kind: str) -> list[str]:
    """What can be measured on a target of this kind; a remote device says so itself when its agent comes."""
    return measurable() if is_measurable(kind) and not is_remote(kind) else ["latency_ms"]


def same_target(
    kind: str, there: Mapping[str, Any], fingerprint: str, here: Mapping[str, Any], wanted: str
) -> bool:
    """Whether a target is the one that is registered again; a remote one is known by kind and settings."""
    if is_remote(kind):
        return bool(kind == here["kind"] and there["settings"] == here["settings"])
    return fingerprint == wanted


def refresh(row: TargetRow) -> None:
    """Forget calibrations and runtime of a target; raises ``ConflictError`` on another device."""
    if not is_measurable(row.kind):
        raise ConflictError(
            f"target {row.name!r} is of kind {row.kind}: its rows were brought, none can be measured"
        )
    if is_remote(row.kind):
        row.description, row.fingerprint = {**row.description, "runtime": None}, ""
    else:
        target = make_target(row.kind, row.settings)
        description = target.describe()
        if description["device"] != row.description["device"]:
            raise ConflictError(
                f"target {row.name!r} was another device than this machine; register a new one"
            )
        row.description, row.fingerprint = description, target.fingerprint
    row.calibrations, row.stale, row.drifts, row.valid_from = None, None, [], now()


def timing_target(wanted: Mapping[str, Any]) -> CpuTarget:
    """The stored target as one that this machine can measure on; raises ``MeasureError`` for any other."""
    if is_remote(wanted["kind"]) or not is_measurable(wanted["kind"]):
        raise MeasureError(f"a target of kind {wanted['kind']} is not measured by a worker")
    target = make_target(wanted["kind"], wanted["settings"], wanted["calibrations"])
    assert isinstance(target, CpuTarget)
    return target


def is_measurable(kind: str) -> bool:
    """Whether something can be measured on targets of this kind, or all their rows are brought."""
    return bool(TARGETS.load(kind).measurable)


def _check_setting(settings: type, name: str, value: Any) -> None:
    kinds = {field.name: type(field.default) for field in fields(settings)}
    if name not in kinds:
        raise InvalidError(f"settings.{name}", value, f"absent; settings are {', '.join(kinds)}")
    if type(value) is not kinds[name]:
        raise InvalidError(f"settings.{name}", value, f"of type {kinds[name].__name__}")


def require_same(target: Target, fingerprint: str) -> None:
    """Refuse to measure on another device or runtime than the target was registered with."""
    if target.fingerprint != fingerprint:
        raise MeasureError(
            f"this machine is no longer the target: device, runtime or settings have fingerprint "
            f"{target.fingerprint}, the target {fingerprint}; register a new target"
        )
