"""Objects of :mod:`predictors.targets` from the rows of hardware targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy.orm import Session

from predictors import TARGETS
from predictors.errors import MeasureError, ProtocolError
from predictors.measuring.protocol import Calibration
from predictors.targets.target import MeasuredBy, Target, TargetSettings
from service.db import queries
from service.db.tables import Target as TargetRow
from service.db.tables import now
from service.errors import ConflictError, InvalidError
from service.ids import new_id
from supernets.metrics import LATENCY


def measured_by(kind: str) -> MeasuredBy:
    """Who measures on targets of this kind: the worker, an agent on the device, or none (its rows are imported)."""
    by: MeasuredBy = TARGETS.load(kind).measured_by
    return by


def is_remote(kind: str) -> bool:
    """Whether targets of this kind are measured by agents on other machines."""
    return measured_by(kind) == "agent"


def is_measurable(kind: str) -> bool:
    """Whether anything can be measured on targets of this kind; otherwise all their rows are imported."""
    return measured_by(kind) != "none"


def make_target(
    kind: str, settings: Mapping[str, object], calibrations: Mapping[str, Any] | None = None
) -> Target:
    """The target of this kind; raises ``InvalidError`` or ``ProtocolError`` for bad settings."""
    return _target(
        kind, settings, {name: Calibration(**value) for name, value in (calibrations or {}).items()}
    )


def _target(kind: str, settings: Mapping[str, object], calibrations: Mapping[str, Calibration]) -> Target:
    target: Target = TARGETS.load(kind)(check_settings(kind, settings), calibrations)
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


@dataclass(frozen=True, slots=True)
class Described:
    """What is stored of a new target."""

    description: dict[str, object]
    fingerprint: str
    metrics: list[str]

    @property
    def kind(self) -> str:
        """Kind of target."""
        return str(self.description["kind"])


def describe(kind: str, settings: Mapping[str, object]) -> Described:
    """A new target; a remote one has no device, and no fingerprint, until its first agent.

    Raises:
        InvalidError: an unknown kind, or settings that it does not have or that are outside their range.
    """
    if kind not in TARGETS:
        raise InvalidError("kind", kind, list(TARGETS))
    try:
        if is_remote(kind):
            stored = check_settings(kind, settings).as_json()
            return Described(
                {"kind": kind, "device": None, "runtime": None, "settings": stored}, "", [LATENCY]
            )
        target = make_target(kind, settings)
    except ProtocolError as error:
        raise InvalidError("settings", dict(settings), str(error), f"settings: {error}") from error
    return Described(target.describe(), target.fingerprint, target.metrics())


def register(session: Session, project: str, name: str, described: Described) -> tuple[TargetRow, bool]:
    """The target of this name and description, and whether it is new.

    Raises:
        ConflictError: a target of this name has another device, runtime or settings.
    """
    row = queries.find(session, project, TargetRow, name=name)
    if row is None:
        row = TargetRow(
            id=new_id("tgt"),
            project_id=project,
            name=name,
            kind=described.kind,
            settings=described.description["settings"],
            description=described.description,
            fingerprint=described.fingerprint,
            metrics=described.metrics,
        )
        session.add(row)
        session.flush()
        return row, True
    same_settings = row.description["settings"] == described.description["settings"]
    # The device of a remote target is that of its agents: only the settings can be compared.
    same = same_settings if is_remote(row.kind) else row.fingerprint == described.fingerprint
    if row.kind != described.kind or not same:
        raise ConflictError(
            f"the target {name!r} ({row.id}) has another device, runtime or settings; give another name"
        )
    return row, False


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


def timing_target(
    kind: str, settings: Mapping[str, object], calibrations: Mapping[str, Calibration] | None
) -> Target:
    """The stored target as one that this worker measures on; raises ``MeasureError`` for any other."""
    if measured_by(kind) != "worker":
        raise MeasureError(f"a worker does not measure on targets of kind {kind}")
    return _target(kind, settings, calibrations or {})


def require_same(target: Target, fingerprint: str) -> None:
    """Refuse to measure on another device or runtime than the target was registered with."""
    if target.fingerprint != fingerprint:
        raise MeasureError(
            f"this machine is no longer the target: device, runtime or settings have fingerprint "
            f"{target.fingerprint}, the target {fingerprint}; register a new target"
        )
