"""A device whose rows are imported: nothing can be measured on it here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NoReturn

from predictors.errors import MeasureError, ProtocolError
from predictors.measuring.measure import StepProgress
from predictors.measuring.protocol import Protocol
from predictors.targets.target import MeasuredBy, Target, TargetSettings
from supernets.metrics import LATENCY

MAX_TEXT = 120


@dataclass(frozen=True, kw_only=True)
class TableSettings(TargetSettings):
    """Device and runtime as free text, which cannot be checked here."""

    device: str = "unknown"
    runtime: str = "unknown"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("device", "runtime", "precision"):
            if not 0 < len(getattr(self, name)) <= MAX_TEXT:
                raise ProtocolError(
                    f"{name} must have 1 to {MAX_TEXT} characters, got {getattr(self, name)!r}"
                )


class TableTarget(Target):
    """Latency as imported: one value for each arch, of any statistic.

    All rows of one target must come from one device, runtime and setting; each row is checked on import
    (:mod:`predictors.tables.check`).
    """

    kind: ClassVar[str] = "table"
    measured_by: ClassVar[MeasuredBy] = "none"
    settings_type: ClassVar[type[TargetSettings]] = TableSettings

    def describe(self) -> dict[str, object]:
        """Device and runtime in the user's words."""
        assert isinstance(self.settings, TableSettings)
        return {
            "kind": self.kind,
            "device": {"name": self.settings.device},
            "runtime": {"name": self.settings.runtime, "version": "as imported"},
            "settings": self.settings.as_json(),
        }

    def run(
        self,
        files: Mapping[str, Path],
        protocol: Protocol | None = None,  # noqa: ARG002
        metrics: Sequence[str] = (LATENCY,),  # noqa: ARG002
        progress: StepProgress | None = None,  # noqa: ARG002
    ) -> NoReturn:
        """Refused: there is no device."""
        raise MeasureError(
            f"a target of kind table cannot measure, it has imported rows; got {len(files)} files"
        )
