"""Hardware targets from their rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from predictors import TARGETS
from predictors.errors import MeasureError
from predictors.protocol import Calibration
from predictors.runtime import Settings
from predictors.targets.cpu import CpuTarget
from service.errors import InvalidError


def make_target(
    kind: str, settings: Mapping[str, Any], calibrations: Mapping[str, Any] | None = None
) -> CpuTarget:
    """The target of this kind; raises ``InvalidError`` or ``ProtocolError`` for bad settings."""
    for name, value in settings.items():
        _check_setting(name, value)
    known = {name: Calibration(**value) for name, value in (calibrations or {}).items()}
    target: CpuTarget = TARGETS.load(kind)(Settings(**settings), known)
    return target


def _check_setting(name: str, value: Any) -> None:
    kinds = {field.name: type(field.default) for field in fields(Settings)}
    if name not in kinds:
        raise InvalidError(f"settings.{name}", value, f"absent; settings are {', '.join(kinds)}")
    if type(value) is not kinds[name]:
        raise InvalidError(f"settings.{name}", value, f"of type {kinds[name].__name__}")


def require_same(target: CpuTarget, fingerprint: str) -> None:
    """Refuse to measure on another device or runtime than the target was registered with."""
    if target.fingerprint != fingerprint:
        raise MeasureError(
            f"this machine is no longer the target: device, runtime or settings have fingerprint "
            f"{target.fingerprint}, the target {fingerprint}; register a new target"
        )
