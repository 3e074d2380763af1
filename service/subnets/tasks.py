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
    """A subnet to export, and in what form; without ``batch`` the file takes any."""

    bench: BenchSpec
    arch: dict[str, int | float | str]
    format: str
    opset: int
    precision: str
    batch: int | None
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
    """Write a subnet, compare it with the network on real images, and store it."""
    from supernets.evaluate import calibrated
    from supernets.export.subnet import FileRequest, write_subnet
    from supernets.extract import extract

    bench = open_bench(request.bench)
    arch = bench.family.space().arch(request.arch)
    progress(0, 3, "recalibrating")
    stats = calibrated(bench.supernet, bench.data, arch)
    net = extract(bench.supernet.net, arch, stats)
    form = FileRequest(request.format, request.precision, request.opset, request.batch)
    quality = None if request.quality is None else request.quality.model_dump()
    with tempfile.TemporaryDirectory(prefix="netwright-export-") as folder:
        progress(1, 3, "writing the file and comparing it with the network")
        written = write_subnet(
            bench.supernet, bench.data, arch, net, stats.sha256, form, Path(folder), quality
        )
        progress(2, 3, "storing the file")
        sha256, size = bench.store.put_file(written.path)
    return Exported(
        sha256=sha256,
        bytes=size,
        exporter=written.exporter,
        parity=written.parity,
        metadata=written.metadata,
    )
