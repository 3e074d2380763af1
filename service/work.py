"""The tasks that child processes do, each a function of its payload: measure, evaluate, export, train.

What is done with predictors is in :mod:`service.predictors.tasks`, proposing in :mod:`service.search.propose`.

Payloads and results are JSON. A population is a list of rows of choice indices.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.measurements.tabled import look_up
from service.supernets.bench import Bench, open_bench
from supernets.spaces.space import Population

if TYPE_CHECKING:
    from service.artifacts import ArtifactStore
    from supernets.data import DataSet
    from supernets.families.family import Family

CHECKPOINT_SECONDS = 30.0
"""What a training that is cancelled or killed loses at most, beside the step it is in."""
Payload = dict[str, Any]
Progress = Callable[..., None]
EXPORT_SHARE, CALIBRATED_SHARE = 0.3, 0.4  # of a measuring run's progress


class _OutOfTimeError(Exception):
    """The moment after which nothing new may be begun has come."""


def _out_of_time(payload: Payload) -> bool:
    return payload.get("until") is not None and time.time() >= payload["until"]


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
        if _out_of_time(payload):
            raise _OutOfTimeError
        if step == WAIT:
            progress(int(100 * EXPORT_SHARE), 100, f"waiting for another measuring run here, {done} s so far")
            return
        first = EXPORT_SHARE if step == "calibrate" or wanted["calibrations"] else CALIBRATED_SHARE
        last = CALIBRATED_SHARE if step == "calibrate" else 1.0
        progress(int(100 * (first + (last - first) * done / total)), 100, f"{step}: round {done} of {total}")

    def written(done: int, total: int) -> None:
        if _out_of_time(payload):
            raise _OutOfTimeError
        progress(int(100 * EXPORT_SHARE * done / total), 100, f"writing net {done} of {total}")

    with tempfile.TemporaryDirectory(prefix="netwright-nets-") as folder:
        files = _write_nets(bench, population, target.settings.batch, Path(folder), written)
        result = target.run(files, Protocol(**payload["protocol"]), rounds, payload["metrics"])
    return {
        "timings": [timing.as_json() for timing in result.timings],
        "extras": result.extras,
        "calibrations": {name: calibration.as_json() for name, calibration in result.calibrations.items()},
        "precision": target.settings.precision,
    }


def write_nets(payload: Payload, progress: Progress) -> dict[str, Any]:
    """Store a population as files for another machine to measure; returns ``files`` in its order."""
    from predictors.measuring.runtime import Settings

    bench = open_bench(payload["bench"])
    population = bench.population(payload["population"])
    batch = Settings(**payload["target"]["settings"]).batch

    def written(done: int, total: int) -> None:
        progress(done, total, f"writing net {done} of {total}")

    with tempfile.TemporaryDirectory(prefix="netwright-nets-") as folder:
        files = _write_nets(bench, population, batch, Path(folder), written)
        return {"files": [list(bench.store.put_file(files[str(index)])) for index in range(len(population))]}


def _write_nets(
    bench: Bench, population: Population, batch: int, folder: Path, written: Callable[[int, int], None]
) -> dict[str, Path]:
    """Files that are only measured: the fast exporter, and statistics that change no operator."""
    import torch

    from supernets.export.onnx import export_for_measuring
    from supernets.extract import extract

    files = {}
    archs = bench.family.space().decode(population)
    for index, arch in enumerate(archs):
        net = extract(bench.supernet.net, arch, None)
        path = folder / f"{index}.onnx"
        export_for_measuring(net, torch.zeros(batch, *bench.family.input_shape(arch)), path)
        files[str(index)] = path
        written(index + 1, len(archs))
    return files


def evaluate(payload: Payload, progress: Progress) -> dict[str, Any]:
    """Quality of a population on a split; returns ``evaluations`` in its order.

    Fewer when the time ``until`` has come, which is noticed before each.
    """
    from supernets.evaluate import evaluate_arch

    bench = open_bench(payload["bench"])
    archs = bench.family.space().decode(bench.population(payload["population"]))
    found = []
    for index, arch in enumerate(archs):
        if _out_of_time(payload):
            break
        evaluation = evaluate_arch(bench.supernet, bench.data, arch, payload["split"])
        found.append(evaluation.as_json())
        progress(index + 1, len(archs), f"evaluated {index + 1} of {len(archs)} on {payload['split']}")
    return {"evaluations": found}


def export(payload: Payload, progress: Progress) -> dict[str, Any]:
    """Write a subnet with the reference exporter, prove it on real images, and store the file."""
    from supernets import EXPORTERS
    from supernets.data import prepare
    from supernets.evaluate import calibrated
    from supernets.export.metadata import file_metadata
    from supernets.export.parity import prove_parity
    from supernets.extract import extract

    bench = open_bench(payload["bench"])
    arch = bench.family.space().arch(payload["arch"])
    resolution = bench.family.input_shape(arch)[1]
    progress(0, 3, "recalibrating")
    stats = calibrated(bench.supernet, bench.data, arch)
    net = extract(bench.supernet.net, arch, stats)
    images = prepare(bench.data.test.images[: payload["images"]], resolution, bench.data.mean, bench.data.std)
    metadata = file_metadata(
        supernet=bench.manifest.name,
        arch=arch.as_dict(),
        weights_sha256=bench.manifest.weights_sha256,
        stats_sha256=stats.sha256,
        preprocessing={**bench.data.preprocessing(), "resolution": resolution},
        classes=bench.manifest.classes,
        quality=payload["quality"],
        licence=bench.manifest.licence,
    )
    with tempfile.TemporaryDirectory(prefix="netwright-export-") as folder:
        path = Path(folder) / "subnet.onnx"
        progress(1, 3, "exporting")
        exporter = EXPORTERS.load(payload["format"])()
        exported = exporter.export(net, images[:2], path, metadata=metadata, opset=payload["opset"])
        progress(2, 3, "proving that the file equals the network")
        parity = prove_parity(net, path, images, exporter=payload["format"])
        sha256, size = bench.store.put_file(path)
    return {
        "sha256": sha256,
        "bytes": size,
        "exporter": exported.as_json(),
        "parity": parity.as_json(),
        "metadata": metadata,
    }


def train(payload: Payload, progress: Progress) -> dict[str, Any]:
    """Train to the end, resuming what the run's folder holds, and store the supernet's files.

    ``source`` and ``teacher`` are the stored files of supernets, or none.
    """
    import torch

    from service.artifacts import ArtifactStore
    from service.supernets.checkpoints import put_directory
    from supernets.data import load_data
    from supernets.device import choose
    from supernets.recipes.recipe import Recipe
    from supernets.training.finish import finish
    from supernets.training.further import read_source
    from supernets.training.loop import train as run_training
    from supernets.training.teacher import read_teacher

    torch.set_num_threads(payload["threads"])
    recipe = Recipe.parse(payload["recipe"])
    data = load_data(payload["data"], Path(payload["data_dir"]) if payload["data_dir"] else None)
    family, device = _fitted(payload, data), choose(payload["device"])
    store = ArtifactStore(payload["artifacts"])
    source, teacher = _supernet(payload, store, "source"), _supernet(payload, store, "teacher")
    run = Path(payload["run_dir"])

    def told(at: Any) -> None:
        progress(at.step, at.steps, at.words(), asdict(at))

    training = run_training(
        recipe,
        family,
        data,
        run,
        seed=payload["seed"],
        device=device,
        progress=told,
        source=read_source(source) if source is not None else None,
        teacher=read_teacher(teacher, device) if teacher is not None else None,
        checkpoint_seconds=CHECKPOINT_SECONDS,
        evaluate_every=max(1, min(1000, recipe.steps // 20)),
    )
    manifest = finish(
        training,
        payload["name"],
        run,
        run / "supernet",
        lambda done, total: progress(recipe.steps, recipe.steps, f"report card {done} of {total}"),
    )
    files = put_directory(store, run / "supernet")
    return {"files": files, "manifest": manifest.as_json()}


def _fitted(payload: Payload, data: DataSet) -> Family:
    """The family; what was left to the data is theirs."""
    from supernets import FAMILIES

    theirs = {"num_classes": len(data.classes), "image_channels": data.channels}
    fit = {key: theirs[key] for key in payload.get("fit", ())}
    wanted = payload["family"]
    family: Family = FAMILIES.load(wanted["family"]).from_config({**wanted["config"], **fit})
    return family


def _supernet(payload: Payload, store: ArtifactStore, role: str) -> Path | None:
    """A directory with the supernet that has this role, if one has."""
    from service.supernets.checkpoints import METRICS_FILE, materialise

    files = payload[role]
    return None if files is None else materialise(store, files, Path(payload["cache"]), METRICS_FILE)
