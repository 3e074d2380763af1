"""Tasks of a child process: measure nets on this machine, or write them for another one to measure."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from service.measurements.lookup import look_up
from service.runtime.task import Progress, out_of_time
from service.supernets.bench import Bench, open_bench
from supernets.spaces.space import Population

Payload = dict[str, Any]
EXPORT_SHARE, CALIBRATED_SHARE = 0.3, 0.4  # of a measuring run's progress


class _OutOfTimeError(Exception):
    """The moment after which nothing new may be begun has come."""


def measure(payload: Payload, progress: Progress) -> dict[str, Any]:
    """Time a population on a target that is this machine, all interleaved in one run.

    Returns ``timings`` in its order and the target's ``calibrations``; or ``stale``, a reason why the target
    cannot be measured any more. No timings at all when the time ``until`` has come before the run's end, which
    is noticed after each net that is written and each round that is timed.
    """
    try:
        return _measure(payload, progress)
    except _OutOfTimeError:
        return {"timings": [], "extras": [], "calibrations": None, "precision": None}


def _measure(payload: Payload, progress: Progress) -> dict[str, Any]:
    from predictors.measuring.measure import WAIT
    from predictors.measuring.protocol import Protocol
    from service.devices.hardware import is_measurable, require_same, timing_target
    from service.devices.staleness import runtime_changed

    if not is_measurable(payload["target"]["kind"]):
        return look_up(payload)
    bench = open_bench(payload["bench"])
    wanted = payload["target"]
    target = timing_target(wanted)
    stale = runtime_changed(wanted["description"]["runtime"], target.describe()["runtime"])
    if stale is not None:
        return {"stale": stale}
    require_same(target, wanted["fingerprint"])
    population = bench.population(payload["population"])

    def rounds(step: str, done: int, total: int) -> None:
        if out_of_time(payload.get("until")):
            raise _OutOfTimeError
        if step == WAIT:
            progress(int(100 * EXPORT_SHARE), 100, f"waiting for another measuring run here, {done} s so far")
            return
        first = EXPORT_SHARE if step == "calibrate" or wanted["calibrations"] else CALIBRATED_SHARE
        last = CALIBRATED_SHARE if step == "calibrate" else 1.0
        progress(int(100 * (first + (last - first) * done / total)), 100, f"{step}: round {done} of {total}")

    def written(done: int, total: int) -> None:
        if out_of_time(payload.get("until")):
            raise _OutOfTimeError
        progress(int(100 * EXPORT_SHARE * done / total), 100, f"writing net {done} of {total}")

    with tempfile.TemporaryDirectory(prefix="netwright-nets-") as folder:
        files = _write_nets(bench, population, target.settings.batch, Path(folder), written)
        result = target.run(files, Protocol(**payload["protocol"]), payload["metrics"], rounds)
    return {
        "timings": [timing.as_json() for timing in result.timings],
        "extras": result.extras,
        "calibrations": {name: calibration.as_json() for name, calibration in result.calibrations.items()},
        "precision": target.settings.precision,
    }


def write_nets(payload: Payload, progress: Progress) -> dict[str, Any]:
    """Store a population as files for another machine to measure; returns ``files`` in its order."""
    from service.devices.hardware import check_settings

    bench = open_bench(payload["bench"])
    population = bench.population(payload["population"])
    batch = check_settings(payload["target"]["kind"], payload["target"]["settings"]).batch

    def written(done: int, total: int) -> None:
        progress(done, total, f"writing net {done} of {total}")

    with tempfile.TemporaryDirectory(prefix="netwright-nets-") as folder:
        files = _write_nets(bench, population, batch, Path(folder), written)
        return {"files": [list(bench.store.put_file(files[str(index)])) for index in range(len(population))]}


def _write_nets(
    bench: Bench, population: Population, batch: int, folder: Path, written: Callable[[int, int], None]
) -> dict[str, Path]:
    """Files that are only measured: the fast exporter, and statistics that change no operator."""
    from supernets.export.onnx import export_for_measuring
    from supernets.extract import extract

    files = {}
    task = bench.supernet.task
    archs = bench.family.space().decode(population)
    for index, arch in enumerate(archs):
        net = extract(bench.supernet.net, arch, None)
        path = folder / f"{index}.onnx"
        dimensions = bench.family.dimensions(arch)
        example, interface = task.example(dimensions, batch), task.interface(dimensions)
        export_for_measuring(net, example, path, interface)
        files[str(index)] = path
        written(index + 1, len(archs))
    return files
