"""Tasks of a child process: measure subnets on this machine, or write them for another one to measure."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np

from predictors.measuring.protocol import Protocol
from predictors.predictor import load
from predictors.targets.target import TargetSettings
from service.devices.hardware import check_settings, is_measurable, require_same, timing_target
from service.devices.staleness import runtime_changed
from service.measurements.models import (
    IMPORTED,
    PREDICTED,
    Measured,
    MeasuredTarget,
    StoredLatencies,
    SubnetTiming,
)
from service.runtime.task import WAITED, Deadline, Progress, Rows, StepData
from service.supernets.bench import Bench, BenchSpec, StoredFile, model_scope, open_bench
from supernets.metrics import LATENCY
from supernets.spaces.space import Population

EXPORT_SHARE, CALIBRATED_SHARE = 0.3, 0.4  # of a measuring run's progress


class MeasureIn(StepData):
    """Subnets to measure on a target, and how; nothing new is started after this many ``seconds``."""

    bench: BenchSpec
    population: Rows
    target: MeasuredTarget
    protocol: Protocol
    metrics: list[str]
    seconds: float | None
    parts: int = 1

    NEEDS_LESS = "fewer or smaller subnets, or a machine with more"

    def smaller(self) -> tuple[MeasureIn, str]:
        """A quarter of the networks in memory at once, each part interleaved in a run of its own."""
        parts = min(4 * self.parts, len(self.population))
        return self.model_copy(update={"parts": parts}), f"in a new process, in {parts} runs"


class WrittenFiles(StepData):
    """Stored files, in the order of the population."""

    files: list[StoredFile]


class _OutOfTimeError(Exception):
    """The time is over after which nothing new may be started."""


def measure(request: MeasureIn, progress: Progress) -> Measured:
    """Time a population on a target that is this machine, all interleaved in one run.

    No timings at all where the seconds are over before the run's end, which is noticed after each file that is
    written and each round that is timed.
    """
    try:
        return _measure(request, progress)
    except _OutOfTimeError:
        return Measured()


def _measure(request: MeasureIn, progress: Progress) -> Measured:
    from predictors.measuring.measure import WAIT

    bench, stored = open_bench(request.bench), request.target
    if not is_measurable(stored.kind):
        assert stored.lookup is not None
        return look_up(bench, stored.id, stored.lookup, request.population)
    target = timing_target(stored.kind, stored.settings, stored.calibrations)
    stale = runtime_changed(stored.runtime, target.describe()["runtime"])
    if stale is not None:
        return Measured(stale=stale)
    require_same(target, stored.fingerprint)

    deadline, waited = Deadline(request.seconds), [0.0]

    def on_round(step: str, done: int, total: int) -> None:
        if step == WAIT:
            deadline.excuse(done - waited[0])
            waited[0] = float(done)
            message = f"waiting for another measuring run here, {done} s so far"
            progress(int(100 * EXPORT_SHARE), 100, message, {WAITED: waited[0]})
            return
        if deadline.passed:
            raise _OutOfTimeError
        first = EXPORT_SHARE if step == "calibrate" or stored.calibrations else CALIBRATED_SHARE
        last = CALIBRATED_SHARE if step == "calibrate" else 1.0
        progress(int(100 * (first + (last - first) * done / total)), 100, f"{step}: round {done} of {total}")

    def on_file(done: int, total: int) -> None:
        if deadline.passed:
            raise _OutOfTimeError
        progress(int(100 * EXPORT_SHARE * done / total), 100, f"writing net {done} of {total}")

    with tempfile.TemporaryDirectory(prefix="netwright-nets-") as folder:
        population = bench.population(request.population)
        files = _write_files(bench, population, target.settings, Path(folder), on_file)
        timings: list[SubnetTiming] = []
        for part in _parts(files, request.parts):  # the first run calibrates a target that has no scale yet
            result = target.run(part, request.protocol, request.metrics, on_round)
            extras = result.extras or [{} for _ in result.timings]
            timings += [SubnetTiming.of(*pair) for pair in zip(result.timings, extras, strict=True)]
    return Measured(
        timings=timings,
        calibrations=dict(result.calibrations),
        precision=target.settings.precision,
    )


def _parts(files: dict[str, Path], count: int) -> list[dict[str, Path]]:
    """The files in their order, in ``count`` parts of about equal size."""
    names = list(files)
    ends = [round(len(names) * number / count) for number in range(count + 1)]
    return [{name: files[name] for name in names[start:stop]} for start, stop in pairwise(ends)]


def write_files(request: MeasureIn, progress: Progress) -> WrittenFiles:
    """Store a population as files for another machine to measure."""
    bench = open_bench(request.bench)
    population = bench.population(request.population)
    settings = check_settings(request.target.kind, request.target.settings)

    def on_file(done: int, total: int) -> None:
        progress(done, total, f"writing net {done} of {total}")

    with tempfile.TemporaryDirectory(prefix="netwright-nets-") as folder:
        files = _write_files(bench, population, settings, Path(folder), on_file)
        stored = [bench.store.put_file(files[str(index)]) for index in range(len(population))]
    return WrittenFiles(files=[StoredFile(sha256=sha256, bytes=size) for sha256, size in stored])


def _write_files(
    bench: Bench,
    population: Population,
    settings: TargetSettings,
    folder: Path,
    on_file: Callable[[int, int], None],
) -> dict[str, Path]:
    """Files that are only measured: the fast exporter, and statistics that change no operator."""
    from supernets.export.onnx import export_for_measuring
    from supernets.extract import extract
    from supernets.tasks.task import at_sequence

    files = {}
    task = bench.supernet.task
    archs = bench.family.space().decode(population)
    for index, arch in enumerate(archs):
        net = extract(bench.supernet.net, arch, None)
        path = folder / f"{index}.onnx"
        dimensions = at_sequence(bench.family.dimensions(arch), settings.sequence)
        example, interface = task.example(dimensions, settings.batch), task.interface(dimensions)
        export_for_measuring(net, example, path, interface)
        files[str(index)] = path
        on_file(index + 1, len(archs))
    return files


def look_up(bench: Bench, target: str, known: StoredLatencies, rows: Rows) -> Measured:
    """Timings of a population from the rows of a target and its predictor.

    An arch without a row gets the upper limit that its latency stays below with the search's confidence, and the
    verdict ``predicted``; without a predictor it gets no latency.
    """
    population = bench.population(rows)
    values: dict[bytes, list[float]] = {}
    for row, value in zip(bench.population(known.population), known.values, strict=True):
        values.setdefault(row.tobytes(), []).append(value)
    limits: list[float | None] = [None] * len(population)
    if known.predictor is not None and len(population):
        scope = model_scope(bench.manifest, LATENCY, target)
        model = load(bench.store.read(known.predictor), bench.family, scope)
        limits = model.quantile(population, known.confidence).tolist()
    timings = [
        _looked_up(row.tobytes(), values.get(row.tobytes()), limit)
        for row, limit in zip(population, limits, strict=True)
    ]
    return Measured(timings=timings, precision=known.precision)


def _looked_up(key: bytes, values: list[float] | None, limit: float | None) -> SubnetTiming:
    spread = float(np.std(values, ddof=1) / np.sqrt(len(values))) if values and len(values) > 1 else None
    return SubnetTiming(
        key=key.hex(),
        latency_ms=float(np.median(values)) if values else limit,
        standard_error_ms=spread,
        rounds=len(values or ()),
        statistic="as imported" if values else "upper limit of the prediction",
        verdict=IMPORTED if values else PREDICTED,
        raw_n=0,
    )
