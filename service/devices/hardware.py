"""Objects of :mod:`predictors.targets` from the rows of hardware targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from predictors import TARGETS
from predictors.errors import MeasureError
from predictors.measuring.protocol import Calibration
from predictors.targets.target import MeasuredBy, Target, TargetSettings
from service.db.tables import Target as TargetRow
from service.db.tables import now
from service.errors import ConflictError, InvalidError
from supernets.metrics import LATENCY


def measured_by(kind: str) -> MeasuredBy:
    """Who measures on targets of this kind: the worker, an agent on the device, or nobody (its rows are imported)."""
    by: MeasuredBy = TARGETS.load(kind).measured_by
    return by


def is_remote(kind: str) -> bool:
    """Whether targets of this kind are measured by agents on other machines."""
    return measured_by(kind) == "agent"


def is_measurable(kind: str) -> bool:
    """Whether anything can be measured on targets of this kind; otherwise all their rows are imported."""
    return measured_by(kind) != "nobody"


def make_target(
    kind: str, settings: Mapping[str, Any], calibrations: Mapping[str, Any] | None = None
) -> Target:
    """The target of this kind; raises ``InvalidError`` or ``ProtocolError`` for bad settings."""
    stored = {name: Calibration(**value) for name, value in (calibrations or {}).items()}
    target: Target = TARGETS.load(kind)(check_settings(kind, settings), stored)
    return target


def check_settings(kind: str, settings: Mapping[str, Any]) -> TargetSettings:
    """Settings of a kind with their defaults; raises ``InvalidError`` or ``ProtocolError``."""
    settings_type: type[TargetSettings] = TARGETS.load(kind).settings_type
    types = {field.name: type(field.default) for field in fields(settings_type)}
    for name, value in settings.items():
        if name not in types:
            raise InvalidError(f"settings.{name}", value, f"absent; settings are {', '.join(types)}")
        if type(value) is not types[name]:
            raise InvalidError(f"settings.{name}", value, f"of type {types[name].__name__}")
    return settings_type(**settings)


def describe(kind: str, settings: Mapping[str, Any]) -> tuple[dict[str, Any], str, list[str]]:
    """Description, fingerprint and metrics of a new target; a remote one has no device until its first agent."""
    if is_remote(kind):
        empty = {"device": None, "runtime": None}
        return {"kind": kind, **empty, "settings": check_settings(kind, settings).as_json()}, "", [LATENCY]
    target = make_target(kind, settings)
    return target.describe(), target.fingerprint, target.metrics()


def same_target(
    kind: str, stored: Mapping[str, Any], fingerprint: str, described: Mapping[str, Any], new_fingerprint: str
) -> bool:
    """Whether a stored target is the one that is registered again; a remote one is compared by its settings."""
    if is_remote(kind):
        return bool(kind == described["kind"] and stored["settings"] == described["settings"])
    return fingerprint == new_fingerprint


def refresh(row: TargetRow) -> None:
    """Remove the calibrations and runtime of a target; raises ``ConflictError`` on another device."""
    if not is_measurable(row.kind):
        raise ConflictError(
            f"target {row.name!r} is of kind {row.kind}: its rows are imported, nothing can be measured on it"
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


def timing_target(stored: Mapping[str, Any]) -> Target:
    """The stored target as one that this worker measures on; raises ``MeasureError`` for any other."""
    if measured_by(stored["kind"]) != "worker":
        raise MeasureError(f"a worker does not measure on targets of kind {stored['kind']}")
    return make_target(stored["kind"], stored["settings"], stored["calibrations"])


def require_same(target: Target, fingerprint: str) -> None:
    """Refuse to measure on another device or runtime than the target was registered with."""
    if target.fingerprint != fingerprint:
        raise MeasureError(
            f"this machine is no longer the target: device, runtime or settings have fingerprint "
            f"{target.fingerprint}, the target {fingerprint}; register a new target"
        )
