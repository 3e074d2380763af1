"""A device that somebody else measured: its rows come as a file, and nothing can be measured on it here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from predictors.errors import MeasureError, ProtocolError
from predictors.measuring.measure import StepProgress
from predictors.measuring.protocol import Protocol
from predictors.targets.target import Target

MAX_TEXT = 120
MAX_BATCH = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSettings:
    """What the bringer says of the device; free text, for nobody here can look."""

    device: str = "unknown"
    runtime: str = "unknown"
    precision: str = "fp32"
    batch: int = 1

    def __post_init__(self) -> None:
        for name in ("device", "runtime", "precision"):
            if not 0 < len(getattr(self, name)) <= MAX_TEXT:
                raise ProtocolError(
                    f"{name} must have 1 to {MAX_TEXT} characters, got {getattr(self, name)!r}"
                )
        if not 1 <= self.batch <= MAX_BATCH:
            raise ProtocolError(f"batch must be from 1 to {MAX_BATCH}, got {self.batch}")


class TableTarget(Target):
    """Latency as brought: one value an arch, in whatever statistic its bringer used.

    All rows of one target must come from one device, runtime and setting; what is brought is checked row by
    row (:mod:`predictors.tables.check`).
    """

    kind = "table"
    measurable = False
    settings_type = TableSettings

    def __init__(self, settings: TableSettings | None = None, _calibrations: Any = None) -> None:
        self.settings = settings or TableSettings()

    def describe(self) -> dict[str, Any]:
        """Device and runtime in the bringer's words."""
        return {
            "kind": self.kind,
            "device": {"name": self.settings.device},
            "runtime": {"name": self.settings.runtime, "version": "as brought"},
            "settings": asdict(self.settings),
        }

    def measure(
        self,
        files: Mapping[str, Path],
        protocol: Protocol | None = None,  # noqa: ARG002
        progress: StepProgress | None = None,  # noqa: ARG002
    ) -> NoReturn:
        """Refused: there is no device."""
        raise MeasureError(
            f"a target of kind table cannot measure, it only has the rows that were brought; got {len(files)} files"
        )
