"""This machine's CPU through ONNX Runtime."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from predictors.errors import MeasureError, MeasuringDiedError, ProtocolError
from predictors.measuring import energy
from predictors.measuring.footprint import REPEATS, peak_memory_mb, try_net
from predictors.measuring.footprint import STATISTIC as MEMORY_STATISTIC
from predictors.measuring.footprint import available as memory_available
from predictors.measuring.measure import Request, Result, StepProgress, measure_in_child
from predictors.measuring.protocol import Calibration, Protocol, Timing
from predictors.measuring.runtime import Settings
from predictors.targets.target import Target

LATENCY, PEAK_MEMORY, ENERGY = "latency_ms", "peak_memory_mb", "energy_mj"
TIMEOUT_S = 3600.0
MAX_CLOCK = Path("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq")


class CpuTarget(Target):
    """Latency on this machine, under stated threads, precision and batch.

    ``calibrations`` are those stored with the target; without them the first run calibrates, and
    :attr:`calibrations` then holds what must be stored. Runs happen in a child process that ends with
    the call, one at a time on a machine. A net that crashes the runtime is found and called unsupported.
    """

    kind = "cpu"
    settings_type = Settings

    def __init__(
        self,
        settings: Settings | None = None,
        calibrations: Mapping[str, Calibration] | None = None,
        timeout_s: float = TIMEOUT_S,
        references: Mapping[str, Path] | None = None,
    ) -> None:
        import onnxruntime

        self.settings = settings or Settings()
        self.calibrations = dict(calibrations or {})
        self._timeout_s = timeout_s
        self._references = dict(references or {})
        providers = onnxruntime.get_available_providers()
        if self.settings.provider not in providers:
            raise ProtocolError(
                f"provider must be one of {', '.join(providers)}, got {self.settings.provider!r}"
            )
        if self.settings.threads > usable_cores():
            raise ProtocolError(f"threads must be at most {usable_cores()} here, got {self.settings.threads}")

    def describe(self) -> dict[str, Any]:
        """CPU model, cores, clock, memory (GB), architecture; runtime with version and providers; settings."""
        return {
            "kind": self.kind,
            "device": describe_device(),
            "runtime": describe_runtime(),
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
        metrics: Sequence[str] = (LATENCY,),
    ) -> Result:
        """Like :meth:`measure`, with the calibrations and cores used, and the other ``metrics`` that are wanted."""
        request = Request(
            files=files,
            settings=self.settings,
            protocol=protocol or Protocol(),
            calibrations=self.calibrations,
            references=self._references,
        )
        try:
            result = measure_in_child(request, progress, self._timeout_s)
        except MeasuringDiedError as error:
            result = self._without_crashes(request, progress, error)
        self.calibrations = result.calibrations
        return replace(result, extras=self._extras(request, result, progress, metrics))

    def _extras(
        self, request: Request, result: Result, progress: StepProgress | None, metrics: Sequence[str]
    ) -> list[dict[str, dict[str, Any]]]:
        """What else is wanted of each net that runs; what this machine cannot measure is left out."""
        extras: list[dict[str, dict[str, Any]]] = [{} for _ in result.timings]
        for metric in [name for name in measurable() if name in metrics and name in EXTRAS]:
            for index, timing in enumerate(result.timings):
                if timing.verdict != "unsupported":
                    found = EXTRAS[metric](request.files[timing.key], self.settings)
                    extras[index] |= {} if found is None else {metric: found}
                if progress is not None:
                    progress(metric, index + 1, len(extras))
        return extras

    def _without_crashes(
        self, request: Request, progress: StepProgress | None, first: MeasuringDiedError
    ) -> Result:
        """Measure what can be measured when some net ends the process: each is tried alone, without timing."""
        crashing: dict[str, Timing] = {}
        for key, path in request.files.items():
            try:
                try_net(path, self.settings)
            except MeasureError as error:
                crashing[key] = Timing(
                    key,
                    "unsupported",
                    sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
                    error=str(error),
                )
        if not crashing:
            raise first  # it was not a net: the machine has no memory left, or somebody killed the process
        rest = {key: path for key, path in request.files.items() if key not in crashing}
        result = measure_in_child(replace(request, files=rest), progress, self._timeout_s)
        timings = {timing.key: timing for timing in result.timings} | crashing
        return replace(result, timings=[timings[key] for key in request.files])


def _peak_memory(path: Path, settings: Settings) -> dict[str, Any]:
    value, spread = peak_memory_mb(path, settings)
    return {"value": value, "spread": spread, "n": REPEATS, "statistic": MEMORY_STATISTIC}


EXTRAS: dict[str, Callable[[Path, Settings], dict[str, Any] | None]] = {
    PEAK_MEMORY: _peak_memory,
    ENERGY: energy.energy_mj,
}


def measurable() -> list[str]:
    """The metrics that this machine can measure."""
    there = {PEAK_MEMORY: memory_available(), ENERGY: energy.available()}
    return [LATENCY, *(name for name, available in there.items() if available)]


def describe_device() -> dict[str, Any]:
    """What does not change while this is the same machine; ``max_mhz`` where the system says."""
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count() or 1,
        "max_mhz": max_mhz(),
        "memory_gb": memory_gb(),
        "architecture": platform.machine(),
        "system": platform.system(),
    }


def describe_runtime() -> dict[str, Any]:
    """Name, version and execution providers of the runtime."""
    import onnxruntime

    return {
        "name": "onnxruntime",
        "version": onnxruntime.__version__,
        "providers": onnxruntime.get_available_providers(),
    }


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


def max_mhz() -> int | None:
    """The highest clock of the first core in MHz, None where the system does not say."""
    try:
        return round(int(MAX_CLOCK.read_text()) / 1000)
    except (OSError, ValueError):
        return None


def memory_gb() -> int | None:
    """Main memory in whole GB (10^9 bytes), None where the system does not say."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9)
    except (AttributeError, ValueError, OSError):
        return None
