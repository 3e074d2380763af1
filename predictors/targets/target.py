"""What a hardware target must offer."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from predictors.measuring.measure import StepProgress
from predictors.measuring.protocol import Protocol, Timing


class Target(ABC):
    """Device + runtime + settings under which latency is defined.

    Promises: :meth:`describe` answers at once, is JSON and stays equal while device, runtime and
    settings do; :meth:`measure` gives one :class:`~predictors.measuring.protocol.Timing` a file in the order
    asked, in ms, positive; a file that cannot be run gets verdict ``unsupported`` and the rest goes on;
    everything measured on one target is on one scale (one calibration). Where ``measurable`` is False all
    rows are brought, and :meth:`measure` raises ``MeasureError``. It is made from an instance of
    ``settings_type`` (a dataclass with defaults) and the calibrations stored with the target.
    """

    kind: ClassVar[str]
    unit: ClassVar[str] = "ms"
    measurable: ClassVar[bool] = True
    settings_type: ClassVar[type]
    remote: ClassVar[bool] = False
    """Whether the device is another machine than the worker's, and measured by an agent that runs there."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """``kind``, ``device``, ``runtime`` and ``settings``, as stored with the target."""

    @abstractmethod
    def measure(
        self,
        files: Mapping[str, Path],
        protocol: Protocol | None = None,
        progress: StepProgress | None = None,
    ) -> list[Timing]:
        """Time ONNX files (key to path), all interleaved in one run; raises ``MeasureError``."""

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits that change when device, runtime or settings do."""
        return fingerprint(self.describe())


def fingerprint(description: Mapping[str, Any]) -> str:
    """16 hex digits of a description."""
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:16]
