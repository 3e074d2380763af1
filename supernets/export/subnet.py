"""A subnet as a file in the form asked for, compared with its network on real examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from supernets import EXPORTERS
from supernets.checkpoints import Supernet
from supernets.data import DataSet
from supernets.elastic.active import Inputs
from supernets.errors import ExportError
from supernets.export.exporter import Exporter
from supernets.export.metadata import PREFIX, file_metadata
from supernets.export.parity import prove_parity
from supernets.export.precision import PRECISIONS, Feed, convert
from supernets.metrics import LATENCY
from supernets.prepared import first_part
from supernets.spaces.space import Arch
from supernets.tasks.task import Dimensions, Interface

MOST_PARITY_EXAMPLES, LEAST_PARITY_EXAMPLES = 128, 8
PARITY_PIXELS = 128 * 32 * 32
"""Pixels to compare on: 128 images of 32 pixels, 10 of 112."""
CALIBRATION_EXAMPLES, CHANGE_EXAMPLES, CHUNK = 256, 1000, 32
ANY_ERROR = 1e30
"""Tolerance of reduced precisions: their error is reported, not limited."""


@dataclass(frozen=True, slots=True)
class FileRequest:
    """What a file is to be; without ``batch`` it takes any number of examples.

    Without ``ir_version`` it has the lowest that the opset allows.
    """

    format: str = "onnx"
    precision: str = "fp32"
    opset: int = 18
    batch: int | None = None
    ir_version: int | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """A file with the record of its exporter, its parity with the network, and its metadata without the tokenizer."""

    path: Path
    exporter: dict[str, object]
    parity: dict[str, object]
    metadata: dict[str, str]


def write_subnet(
    supernet: Supernet,
    data: DataSet,
    arch: Arch,
    net: nn.Module,
    stats_sha256: str | None,
    request: FileRequest,
    folder: Path,
    quality: Mapping[str, object] | None,
) -> Written:
    """Write ``net``, the plain network of ``arch``, into ``folder``.

    Args:
        supernet: where the network was extracted from.
        data: what it is compared and calibrated on.
        arch: that of the network.
        net: in evaluation mode, float32, on the CPU.
        stats_sha256: hash of its BatchNorm statistics; None where it has no BatchNorm.
        request: the form of the file.
        folder: exists; the file is called ``subnet`` with the suffix of the format.
        quality: what the file states about its quality on the test split.

    Raises:
        ExportError: the form is refused, or the file differs from the network.
    """
    if request.precision not in PRECISIONS or (request.precision != "fp32" and request.format != "onnx"):
        raise ExportError(
            f"precision must be one of {', '.join(PRECISIONS)} for onnx and fp32 for other formats, got "
            f"{request.precision!r} for {request.format!r}"
        )
    exporter: Exporter = EXPORTERS.load(request.format)()
    dimensions = supernet.family.dimensions(arch)
    interface = supernet.task.interface(dimensions)
    examples = _parity_examples(supernet, data, dimensions, request.batch)
    metadata = _metadata(supernet, data, arch, stats_sha256, dimensions, quality)
    path = folder / f"subnet{exporter.suffix}"
    sample = tuple(each[: request.batch or 2] for each in examples)
    form = interface if request.batch is None else interface.with_batch(request.batch)
    exported = exporter.export(
        net, sample, path, form, metadata=metadata, opset=request.opset, ir_version=request.ir_version
    )
    parity = prove_parity(
        net, path, examples, interface, exporter=request.format, batch=request.batch
    ).as_json()
    record = exported.as_json()
    if request.precision != "fp32":
        source = path.replace(folder / "fp32.onnx")
        parity, changed = _reduced(
            supernet, data, net, examples, interface, request, source, path, dimensions
        )
        record |= changed
    described = {name: text for name, text in metadata.items() if name != f"{PREFIX}tokenizer"}
    return Written(path, record, parity, described)


def _metadata(
    supernet: Supernet,
    data: DataSet,
    arch: Arch,
    stats_sha256: str | None,
    dimensions: Dimensions,
    quality: Mapping[str, object] | None,
) -> dict[str, str]:
    return file_metadata(
        supernet=supernet.manifest.name,
        arch=arch.as_dict(),
        weights_sha256=supernet.manifest.weights_sha256,
        stats_sha256=stats_sha256,
        preprocessing={**data.preprocessing(), **dimensions},
        task=supernet.task.name,
        classes=supernet.manifest.classes,
        quality=quality,
        licence=supernet.manifest.licence,
        tokenizer=data.tokenizer_file(),
    )


def parity_count(dimensions: Dimensions) -> int:
    """How many examples a file is compared on: fewer of large images."""
    pixels = max(1, dimensions.get("height", 32) * dimensions.get("width", 32))
    return min(MOST_PARITY_EXAMPLES, max(LEAST_PARITY_EXAMPLES, PARITY_PIXELS // pixels))


def _parity_examples(supernet: Supernet, data: DataSet, dimensions: Dimensions, batch: int | None) -> Inputs:
    """Prepared test examples, fewer of large images; a multiple of ``batch``."""
    stored = data.test.stored[: parity_count(dimensions)]
    if batch is not None:
        stored = _whole(stored[: max(1, len(stored) // batch) * batch], batch)
    return supernet.task.prepare(stored, data.preprocessing(), dimensions)


def _feeds(interface: Interface, inputs: Inputs, size: int) -> Iterator[dict[str, NDArray[np.generic]]]:
    """The inputs by name, ``size`` examples at a time; a rest is left out."""
    names = [each.name for each in interface.inputs]
    for start in range(0, len(inputs[0]) // size * size, size):
        parts = (np.ascontiguousarray(each[start : start + size].numpy()) for each in inputs)
        yield dict(zip(names, parts, strict=True))


def _reduced(
    supernet: Supernet,
    data: DataSet,
    net: nn.Module,
    examples: Inputs,
    interface: Interface,
    request: FileRequest,
    source: Path,
    path: Path,
    dimensions: Dimensions,
) -> tuple[dict[str, object], dict[str, object]]:
    """Convert ``source``; the parity of the result with what it changes, and the fields of its record."""
    size, task = request.batch or CHUNK, supernet.task
    calibration: list[Feed] = []
    if request.precision == "int8":
        held = data.train.head(CALIBRATION_EXAMPLES)
        prepared = task.prepare(_whole(held, request.batch), data.preprocessing(), dimensions)
        calibration = list(_feeds(interface, prepared, request.batch or min(size, len(held))))
    first = next(_feeds(interface, examples, request.batch or 1))
    converted = convert(source, path, request.precision, calibration, first, request.ir_version)
    parity = prove_parity(
        net, path, examples, interface, tolerance=ANY_ERROR, batch=request.batch
    ).as_json() | {"tolerance": None}
    scores = {
        name: _scores(supernet, data, file, interface, size, dimensions)
        for name, file in (("fp32", source), (request.precision, path))
    }
    difference = scores[request.precision] - scores["fp32"]
    parity["change"] = {
        "metric": task.quality,
        "split": "test",
        "n": len(difference),
        "quality": {name: task.summarise(of_file)[0] for name, of_file in scores.items()},
        "difference": float(difference.mean()),
        "standard_error": float(difference.std() / len(difference) ** 0.5),
        LATENCY: converted.latency_ms,
        "bytes": {"fp32": source.stat().st_size, request.precision: converted.size_bytes},
        "activation": converted.activation,
    }
    changed = {
        "precision": request.precision,
        "sha256": converted.sha256,
        "size_bytes": converted.size_bytes,
    }
    return parity, changed


def _scores(
    supernet: Supernet, data: DataSet, path: Path, interface: Interface, size: int, dimensions: Dimensions
) -> Tensor:
    """The task's scores ``(n,)`` of a file on test examples; ``size`` of them a run."""
    run = EXPORTERS.load("onnx")().load(path)
    task = supernet.task

    def answered(stored: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        outputs = []
        for part in torch.split(stored, size):
            whole = task.prepare(_whole(part, size), data.preprocessing(), dimensions)
            outputs.append(torch.from_numpy(run(next(_feeds(interface, whole, size)))[: len(part)]))
        return torch.cat(outputs), task.targets(labels, data)

    score: Callable[[Tensor, Tensor], Tensor] = task.scores
    if task.references:
        score = task.scorer(task.quality, *answered(*first_part(data.held("train"), task.references)))
    n = min(CHANGE_EXAMPLES, len(data.test))
    return score(*answered(data.test.stored[:n], data.test.labels[:n]))


def _whole(stored: Tensor, batch: int | None) -> Tensor:
    """The examples, the first ones again up to a multiple of ``batch``."""
    missing = 0 if batch is None else -len(stored) % batch
    return stored[torch.arange(len(stored) + missing) % len(stored)] if missing else stored
