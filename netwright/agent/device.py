"""This machine as a target. The only module of the agent that imports the measuring code, and only when called."""

from __future__ import annotations

import importlib.util
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netwright.client.http.models import LeaseView, Object
from netwright.errors import NetwrightError

if TYPE_CHECKING:
    from predictors.measuring.protocol import Extra, Timing
    from predictors.targets.target import Target

Progress = Callable[[str, int, int], None]


class Device:
    """Runs networks on this machine with the settings of a target.

    Raises:
        NetwrightError: ONNX Runtime is not installed, or this machine does not support the settings.
    """

    def __init__(self, kind: str, settings: Mapping[str, object]) -> None:
        if importlib.util.find_spec("onnxruntime") is None:
            raise NetwrightError(
                "the agent needs ONNX Runtime, it is not installed; install it with: pip install 'netwright[agent]'"
            )
        self._kind, self._settings = kind, dict(settings)
        self._target({}, {})

    def _target(self, calibrations: Mapping[str, Any], references: Mapping[str, Path]) -> Target:
        from predictors import TARGETS
        from predictors.errors import PredictorError
        from predictors.measuring.protocol import Calibration

        known = {name: Calibration(**entry) for name, entry in calibrations.items()}
        try:
            kind = TARGETS.load(self._kind)
            target: Target = kind(kind.settings_type(**self._settings), known, references)
            return target
        except PredictorError as error:
            raise NetwrightError(f"this machine cannot be this target: {error}") from error

    def describe(self) -> Object:
        """Device, runtime, and the metrics that can be measured."""
        target = self._target({}, {})
        found = target.describe()
        return {"device": found["device"], "runtime": found["runtime"], "metrics": target.metrics()}

    def measure(
        self,
        lease: LeaseView,
        files: Mapping[str, Path],
        references: Mapping[str, Path],
        progress: Progress,
    ) -> tuple[list[Object], Object]:
        """Measure files by item, all interleaved in one run: the rows for the server, and calibrations.

        An exception from ``progress`` stops the run. Raises :class:`NetwrightError` if measuring cannot continue.
        """
        from predictors.errors import PredictorError
        from predictors.measuring.protocol import Protocol

        target = self._target(lease.calibrations or {}, references)
        try:
            result = target.run(files, Protocol(**lease.protocol), lease.metrics, progress)
        except PredictorError as error:
            raise NetwrightError(f"measuring did not end well: {error}") from error
        rows = [_row(timing, extras) for timing, extras in zip(result.timings, result.extras, strict=True)]
        return rows, {name: entry.as_json() for name, entry in result.calibrations.items()}


def _row(timing: Timing, extras: Mapping[str, Extra]) -> Object:
    row: Object = {**timing.as_json(), "item": timing.key, "extras": dict(extras)}
    row |= {"raw_ms": timing.raw_ms or None, "reference": timing.reference or None}
    del row["key"]
    return row


def host() -> str:
    """A name of this machine that a server accepts."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in platform.node())
    return kept.strip("._-")[:60] or "device"
