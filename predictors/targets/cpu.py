"""This machine's CPU through ONNX Runtime."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from predictors.errors import ProtocolError
from predictors.measure import Request, Result, StepProgress, measure_in_child
from predictors.protocol import Calibration, Protocol, Timing
from predictors.runtime import Settings
from predictors.targets.target import Target

TIMEOUT_S = 3600.0


class CpuTarget(Target):
    """Latency on this machine, under stated threads, precision and batch.

    ``calibrations`` are those stored with the target; without them the first run calibrates, and
    :attr:`calibrations` then holds what must be stored. Runs happen in a child process that ends with
    the call, one at a time on a machine.
    """

    kind = "cpu"
    settings_type = Settings

    def __init__(
        self,
        settings: Settings | None = None,
        calibrations: Mapping[str, Calibration] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        import onnxruntime

        self.settings = settings or Settings()
        self.calibrations = dict(calibrations or {})
        self._timeout_s = timeout_s
        providers = onnxruntime.get_available_providers()
        if self.settings.provider not in providers:
            raise ProtocolError(
                f"provider must be one of {', '.join(providers)}, got {self.settings.provider!r}"
            )
        if self.settings.threads > usable_cores():
            raise ProtocolError(f"threads must be at most {usable_cores()} here, got {self.settings.threads}")

    def describe(self) -> dict[str, Any]:
        """CPU model, cores, memory (GB), architecture; runtime with version and providers; settings."""
        import onnxruntime

        return {
            "kind": self.kind,
            "device": {
                "cpu": cpu_model(),
                "cores": os.cpu_count() or 1,
                "memory_gb": memory_gb(),
                "architecture": platform.machine(),
                "system": platform.system(),
            },
            "runtime": {
                "name": "onnxruntime",
                "version": onnxruntime.__version__,
                "providers": onnxruntime.get_available_providers(),
            },
            "settings": self.settings.as_json(),
        }

    def measure(
        self,
        files: Mapping[str, Path],
        protocol: Protocol | None = None,
        progress: StepProgress | None = None,
    ) -> list[Timing]:
        """Time ONNX files (key to path), all interleaved in one run; raises ``MeasureError``."""
        return self.run(files, protocol, progress).timings

    def calibrate(
        self, protocol: Protocol | None = None, progress: StepProgress | None = None
    ) -> dict[str, Calibration]:
        """Calibrate the reference nets anew; earlier measurements are then on another scale."""
        self.calibrations = {}
        return self.run({}, protocol, progress).calibrations

    def run(
        self,
        files: Mapping[str, Path],
        protocol: Protocol | None = None,
        progress: StepProgress | None = None,
    ) -> Result:
        """Like :meth:`measure`, with the calibrations and cores used."""
        request = Request(
            files=files,
            settings=self.settings,
            protocol=protocol or Protocol(),
            calibrations=self.calibrations,
        )
        result = measure_in_child(request, progress, self._timeout_s)
        self.calibrations = result.calibrations
        return result


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_model() -> str:
    """The CPU's name as its maker writes it, or what the platform calls it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def memory_gb() -> int | None:
    """Main memory in whole GB (10^9 bytes), None where the system does not say."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9)
    except (AttributeError, ValueError, OSError):
        return None
