"""This machine's CPU through ONNX Runtime."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from predictors.errors import MeasureError, MeasuringDiedError, ProtocolError
from predictors.measuring.extras import METERS, measurable
from predictors.measuring.footprint import try_net
from predictors.measuring.machine import describe_device, describe_runtime, usable_cores
from predictors.measuring.measure import Request, Run, StepProgress, measure_in_child
from predictors.measuring.protocol import Calibration, Extra, Protocol, Timing
from predictors.measuring.runtime import CPU_PROVIDER, Session
from predictors.targets.target import PRECISIONS, MeasuredBy, Target, TargetSettings
from supernets.metrics import LATENCY

MAX_THREADS = 1024


@dataclass(frozen=True, kw_only=True)
class CpuSettings(TargetSettings):
    """Threads of an operator, precision, batch and execution provider."""

    threads: int = 1
    provider: str = CPU_PROVIDER

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.threads <= MAX_THREADS:
            raise ProtocolError(f"threads must be from 1 to {MAX_THREADS}, got {self.threads}")
        if self.precision not in PRECISIONS:
            raise ProtocolError(f"precision must be one of {', '.join(PRECISIONS)}, got {self.precision!r}")

    def session(self) -> Session:
        """How the runtime is configured for these settings."""
        return Session(threads=self.threads, batch=self.batch, provider=self.provider)


class CpuTarget(Target):
    """Latency on this machine, under stated threads, precision and batch.

    Without stored calibrations the first run calibrates, and :attr:`calibrations` then holds what must be stored.
    Runs happen in a child process that ends with the call, one at a time on a machine. A net that crashes the
    runtime is identified and gets the verdict ``unsupported``.
    """

    kind: ClassVar[str] = "cpu"
    measured_by: ClassVar[MeasuredBy] = "worker"
    settings_type: ClassVar[type[TargetSettings]] = CpuSettings

    def __init__(
        self,
        settings: TargetSettings | None = None,
        calibrations: Mapping[str, Calibration] | None = None,
        references: Mapping[str, Path] | None = None,
    ) -> None:
        import onnxruntime

        super().__init__(settings, calibrations, references)
        assert isinstance(self.settings, CpuSettings)
        self.session = self.settings.session()
        providers = onnxruntime.get_available_providers()
        if self.session.provider not in providers:
            raise ProtocolError(
                f"provider must be one of {', '.join(providers)}, got {self.session.provider!r}"
            )
        if self.session.cores > usable_cores():
            raise ProtocolError(
                f"threads must fit the {usable_cores()} usable cores here, got settings that use {self.session.cores}"
            )

    def describe(self) -> dict[str, object]:
        """CPU model, cores, clock, memory (GB), architecture; runtime with version and providers; settings."""
        return {
            "kind": self.kind,
            "device": describe_device(),
            "runtime": describe_runtime(),
            "settings": self.settings.as_json(),
        }

    def metrics(self) -> list[str]:
        """Latency, and peak memory and energy where this machine can measure them."""
        return measurable()

    def run(
        self,
        files: Mapping[str, Path],
        protocol: Protocol | None = None,
        metrics: Sequence[str] = (LATENCY,),
        progress: StepProgress | None = None,
    ) -> Run:
        """Measure in a child process; then each further metric, one file after another."""
        request = Request(
            files=files,
            session=self.session,
            protocol=protocol or Protocol(),
            calibrations=self.calibrations,
            references=self.references,
        )
        try:
            run = measure_in_child(request, progress)
        except MeasuringDiedError as error:
            run = self._without_crashes(request, progress, error)
        self.calibrations = run.calibrations
        return replace(run, extras=self._extras(files, run.timings, metrics, progress))

    def _extras(
        self,
        files: Mapping[str, Path],
        timings: Sequence[Timing],
        metrics: Sequence[str],
        progress: StepProgress | None,
    ) -> list[dict[str, Extra]]:
        """The further metrics of each net that runs; those that this machine cannot measure are left out."""
        extras: list[dict[str, Extra]] = [{} for _ in timings]
        for metric in [name for name in self.metrics() if name in metrics and name in METERS]:
            for index, timing in enumerate(timings):
                if timing.verdict != "unsupported":
                    value = METERS[metric].measure(files[timing.key], self.session)
                    extras[index] |= {} if value is None else {metric: value}
                if progress is not None:
                    progress(metric, index + 1, len(extras))
        return extras

    def _without_crashes(
        self, request: Request, progress: StepProgress | None, first: MeasuringDiedError
    ) -> Run:
        """Measure the other nets when some net ends the process: each is tried alone, without timing."""
        crashing: dict[str, Timing] = {}
        for key, path in request.files.items():
            try:
                try_net(path, self.session)
            except MeasureError as error:
                sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
                crashing[key] = Timing(key, "unsupported", sha256=sha256, error=str(error))
        if not crashing:
            raise first  # no net did it: memory ran out, or the process was killed
        rest = {key: path for key, path in request.files.items() if key not in crashing}
        run = measure_in_child(replace(request, files=rest), progress)
        timings = {timing.key: timing for timing in run.timings} | crashing
        return replace(run, timings=[timings[key] for key in request.files])
