"""Hardware targets from their rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from predictors import TARGETS
from predictors.errors import MeasureError
from predictors.protocol import Calibration
from predictors.targets.cpu import CpuTarget
from predictors.targets.target import Target
from service.errors import InvalidError


def make_target(
    kind: str, settings: Mapping[str, Any], calibrations: Mapping[str, Any] | None = None
) -> Target:
    """The target of this kind; raises ``InvalidError`` or ``ProtocolError`` for bad settings."""
    described = TARGETS.load(kind)
    for name, value in settings.items():
        _check_setting(described.settings_type, name, value)
    known = {name: Calibration(**value) for name, value in (calibrations or {}).items()}
    target: Target = described(described.settings_type(**settings), known)
    return target


def timing_target(wanted: Mapping[str, Any]) -> CpuTarget:
    """The stored target as one that this machine can measure on; raises ``MeasureError`` for any other."""
    target = make_target(wanted["kind"], wanted["settings"], wanted["calibrations"])
    if not isinstance(target, CpuTarget):
        raise MeasureError(f"a target of kind {target.kind} is not measured by a worker")
    require_same(target, wanted["fingerprint"])
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
