"""What a hardware target must offer."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

from predictors.errors import ProtocolError
from predictors.measuring.measure import Run, StepProgress
from predictors.measuring.protocol import Calibration, Protocol
from supernets.metrics import LATENCY

MeasuredBy = Literal["worker", "agent", "none"]
PRECISIONS = ("fp32",)
MAX_BATCH = 65_536
MAX_SEQUENCE = 65_536


@dataclass(frozen=True, kw_only=True)
class TargetSettings:
    """Settings of every kind of target; each kind adds its own, all with defaults.

    ``sequence`` is the number of tokens of a text that networks of texts are measured at; 0: their own.
    """

    precision: str = "fp32"
    batch: int = 1
    sequence: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.batch <= MAX_BATCH:
            raise ProtocolError(f"batch must be from 1 to {MAX_BATCH}, got {self.batch}")
        if not 0 <= self.sequence <= MAX_SEQUENCE:
            raise ProtocolError(f"sequence must be from 0 to {MAX_SEQUENCE}, got {self.sequence}")

    def as_json(self) -> dict[str, object]:
        """Every field, ``sequence`` where it is set; the class reads it back with ``cls(**value)``."""
        return {name: value for name, value in asdict(self).items() if name != "sequence" or value}


class Target(ABC):
    """Device + runtime + settings under which latency is defined.

    Promises: :meth:`describe` answers at once, is JSON, and stays equal while device, runtime and settings do.
    :meth:`run` gives one :class:`~predictors.measuring.protocol.Timing` for each file in the order of the request, in
    ms, positive; a file that cannot be run gets the verdict ``unsupported`` and the others are still measured.
    Everything measured on one target is on one scale (one calibration). ``measured_by`` is who measures: the
    ``worker`` itself, an ``agent`` on the device, or ``none`` (all rows are imported, and :meth:`run` raises
    ``MeasureError``). The constructor takes an instance of ``settings_type``, the calibrations stored with the
    target, and the files of the reference nets for a machine that cannot make them.
    """

    kind: ClassVar[str]
    measured_by: ClassVar[MeasuredBy]
    settings_type: ClassVar[type[TargetSettings]]

    def __init__(
        self,
        settings: TargetSettings | None = None,
        calibrations: Mapping[str, Calibration] | None = None,
        references: Mapping[str, Path] | None = None,
    ) -> None:
        self.settings = settings or self.settings_type()
        self.calibrations = dict(calibrations or {})
        self.references = dict(references or {})

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """``kind``, ``device``, ``runtime`` and ``settings``, as stored with the target."""

    @abstractmethod
    def run(
        self,
        files: Mapping[str, Path],
        protocol: Protocol | None = None,
        metrics: Sequence[str] = (LATENCY,),
        progress: StepProgress | None = None,
    ) -> Run:
        """Measure ONNX files (key to path), all interleaved in one run; raises ``MeasureError``.

        Latency is always measured; other ``metrics`` only where the target can (:meth:`metrics`).
        """

    def metrics(self) -> list[str]:
        """The metrics that can be measured here, latency first."""
        return [LATENCY]

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits that change when device, runtime or settings do."""
        return fingerprint(self.describe())


def fingerprint(description: Mapping[str, object]) -> str:
    """16 hex digits of a description."""
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:16]
