"""The proof that a file computes what its network computes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from supernets import EXPORTERS
from supernets.elastic.active import Inputs
from supernets.errors import ExportError
from supernets.export.exporter import Run, check_example, check_net
from supernets.tasks.task import SEQUENCE, Interface

TOLERANCE = 1e-4
LARGEST_BATCH = 128
PART_ELEMENTS = 3 * 224 * 224
"""Input values that the network sees at a time: its activations stay in the cache, which takes a third off the time."""


@dataclass(frozen=True, slots=True)
class Parity:
    """How far a file is from its network on real images.

    Attributes:
        max_error: ``max|file - net| / max(1, max|net|)`` over all images and batch sizes.
        tolerance: what it had to stay below.
        n: number of images.
        batch_sizes: the sizes in which they were run; the network saw them in one way only.
        agreement: share of images with the same largest output.
        images_sha256: of the images.
        lengths: sizes of the sequence in which the examples were run, where it may be any.
    """

    max_error: float
    tolerance: float
    n: int
    batch_sizes: tuple[int, ...]
    agreement: float
    images_sha256: str
    lengths: tuple[int, ...] = ()

    def as_json(self) -> dict[str, object]:
        """A flat object; without ``lengths`` where there is no sequence."""
        values = asdict(self) | {"batch_sizes": list(self.batch_sizes), "lengths": list(self.lengths)}
        return {key: value for key, value in values.items() if key != "lengths" or value}


def prove_parity(
    net: nn.Module,
    path: Path,
    examples: Inputs,
    interface: Interface,
    *,
    exporter: str = "onnx",
    tolerance: float = TOLERANCE,
    batch: int | None = None,
) -> Parity:
    """Run the file and the network on the same examples, in several batch sizes, and compare.

    Args:
        net: in evaluation mode; what was exported to ``path``.
        path: the file.
        examples: ``n >= 2`` of them, real and prepared; noise hides errors that real examples show.
        interface: the names of the inputs.
        exporter: name in ``EXPORTERS``.
        tolerance: of the relative error.
        batch: the one batch size of the file, which must divide ``n``; None if it takes any.

    Raises:
        ExportError: too few or all equal examples, a file that does not run, or an error over ``tolerance``.
    """
    check_net(net, examples)
    check_example(examples, interface)
    n = len(examples[0])
    finite = all(bool(torch.isfinite(each).all()) for each in examples)
    if n < 2 or not finite or all(bool((each == each[:1]).all()) for each in examples):
        raise ExportError(f"parity needs at least 2 different, finite examples, but got {n} that are not")
    run: Run = EXPORTERS.load(exporter)().load(path)
    with torch.inference_mode():
        size = max(1, min(LARGEST_BATCH, PART_ELEMENTS // max(1, examples[0][0].numel())))
        parts = zip(*(torch.split(each, size) for each in examples), strict=True)
        expected = torch.cat([net(*part) for part in parts]).numpy()
    names = [each.name for each in interface.inputs]
    inputs = {name: np.ascontiguousarray(each.numpy()) for name, each in zip(names, examples, strict=True)}
    sizes = sorted({1, min(3, n), min(n, LARGEST_BATCH)}) if batch is None else [batch]
    worst, agreement = 0.0, 1.0
    for size in sizes:
        # the largest batch has every example; a smaller one proves that the batch may be any
        count = n if size == sizes[-1] else size
        starts = range(0, count, size)
        slices = [slice(start, min(start + size, count)) for start in starts]
        got = np.concatenate(
            [_run(run, {name: array[part] for name, array in inputs.items()}, path) for part in slices]
        )
        worst = max(worst, relative_error(got, expected[:count], expected))
        agreement = min(agreement, float((got.argmax(-1) == expected[:count].argmax(-1)).mean()))
    shorter = _shorter(examples, interface)
    for cut in shorter:
        with torch.inference_mode():
            expected = net(*cut).numpy()
        feed = {name: np.ascontiguousarray(each.numpy()) for name, each in zip(names, cut, strict=True)}
        size = n if batch is None else batch
        worst = max(
            worst,
            relative_error(
                _run(run, {k: v[:size] for k, v in feed.items()}, path), expected[:size], expected
            ),
        )
    if not worst <= tolerance:  # so that NaN fails
        raise ExportError(
            f"max|file - net| / max(1, max|net|) <= {tolerance:g} must hold, but {path.name} has {worst:.3g} "
            f"on {n} examples"
        )
    digest = hashlib.sha256(b"".join(array.tobytes() for array in inputs.values())).hexdigest()
    lengths = tuple(each[0].shape[1] for each in (*shorter, examples)) if shorter else ()
    return Parity(worst, tolerance, n, tuple(sizes), agreement, digest, lengths)


def _shorter(examples: Inputs, interface: Interface) -> list[Inputs]:
    """The first examples with a quarter and a half of the sequence, where the file takes any length."""
    if not any(SEQUENCE in named.shape for named in interface.inputs):
        return []
    length = examples[0].shape[1]
    cuts = sorted({max(1, length // 4), max(1, length // 2)} - {length})
    return [tuple(each[:LARGEST_BATCH, :cut] for each in examples) for cut in cuts]


def relative_error(
    got: NDArray[np.float32], expected: NDArray[np.float32], every: NDArray[np.float32]
) -> float:
    """``max|got - expected| / max(1, max|every|)``; infinite if a value is not finite or shapes differ."""
    if got.shape != expected.shape or not np.isfinite(got).all() or not np.isfinite(every).all():
        return float("inf")
    difference = np.abs(got.astype(np.float64) - expected.astype(np.float64)).max()
    return float(difference / max(1.0, float(np.abs(every).max())))


def _run(run: Run, inputs: Mapping[str, NDArray[np.generic]], path: Path) -> NDArray[np.float32]:
    try:
        return run(inputs)
    except Exception as error:  # the runtime's exceptions share no base class but this
        size = len(next(iter(inputs.values())))
        raise ExportError(f"{path.name} must run on batches of {size}, but: {error}") from error
