"""Tasks of a child process: evaluate subnets, or export one."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pydantic import JsonValue

from service.measurements.models import Quality
from service.runtime.task import Deadline, Progress, Rows, StepData
from service.supernets.bench import BenchSpec, open_bench


class EvaluateIn(StepData):
    """Subnets to evaluate on a split; nothing new is started after so many ``seconds``."""

    bench: BenchSpec
    population: Rows
    split: str
    seconds: float | None = None


class Evaluated(StepData):
    """Qualities in the order of the population; fewer where the time ran out."""

    evaluations: list[Quality]


class StatedQuality(StepData):
    """The quality that an exported file states of itself."""

    metric: str
    value: float
    standard_error: float | None
    n: int
    split: str | None
    precision: str


class ExportIn(StepData):
    """A subnet to export, and how many test images to compare it on."""

    bench: BenchSpec
    arch: dict[str, int | float | str]
    format: str
    opset: int
    images: int
    quality: StatedQuality | None


class Exported(StepData):
    """A stored file, its exporter, its parity with the network, and its metadata."""

    sha256: str
    bytes: int
    exporter: dict[str, JsonValue]
    parity: dict[str, JsonValue]
    metadata: dict[str, str]


def evaluate(request: EvaluateIn, progress: Progress) -> Evaluated:
    """Quality of a population on a split."""
    from supernets.evaluate import evaluate_arch

    deadline = Deadline(request.seconds)
    bench, split = open_bench(request.bench), request.split
    data = bench.data
    archs = bench.family.space().decode(bench.population(request.population))
    found = []
    for index, arch in enumerate(archs):
        if deadline.passed:
            break
        evaluation = evaluate_arch(bench.supernet, data, arch, split)
        found.append(Quality.model_validate(evaluation.as_json()))
        progress(index + 1, len(archs), f"evaluated {index + 1} of {len(archs)} on {split}")
    return Evaluated(evaluations=found)


def export(request: ExportIn, progress: Progress) -> Exported:
    """Write a subnet with the reference exporter, compare it with the network on real images, and store it."""
    from supernets import EXPORTERS
    from supernets.evaluate import calibrated
    from supernets.export.metadata import file_metadata
    from supernets.export.parity import prove_parity
    from supernets.extract import extract

    bench = open_bench(request.bench)
    arch = bench.family.space().arch(request.arch)
    task, dimensions = bench.supernet.task, bench.family.dimensions(arch)
    progress(0, 3, "recalibrating")
    data = bench.data
    stats = calibrated(bench.supernet, data, arch)
    net = extract(bench.supernet.net, arch, stats)
    stored, preprocessing = data.test.images[: request.images], data.preprocessing()
    examples, interface = task.prepare(stored, preprocessing, dimensions), task.interface(dimensions)
    metadata = file_metadata(
        supernet=bench.manifest.name,
        arch=arch.as_dict(),
        weights_sha256=bench.manifest.weights_sha256,
        stats_sha256=stats.sha256,
        preprocessing={**preprocessing, **dimensions},
        task=task.name,
        classes=bench.manifest.classes,
        quality=None if request.quality is None else request.quality.model_dump(),
        licence=bench.manifest.licence,
    )
    with tempfile.TemporaryDirectory(prefix="netwright-export-") as folder:
        path = Path(folder) / "subnet.onnx"
        progress(1, 3, "exporting")
        exporter = EXPORTERS.load(request.format)()
        few = tuple(each[:2] for each in examples)
        exported = exporter.export(net, few, path, interface, metadata=metadata, opset=request.opset)
        progress(2, 3, "comparing the file with the network")
        parity = prove_parity(net, path, examples, interface, exporter=request.format)
        sha256, size = bench.store.put_file(path)
    return Exported(
        sha256=sha256,
        bytes=size,
        exporter=exported.as_json(),
        parity=parity.as_json(),
        metadata=metadata,
    )
