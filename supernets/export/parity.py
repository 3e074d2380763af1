"""The proof that a file computes what its network computes."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from supernets import EXPORTERS
from supernets.errors import ExportError
from supernets.export.exporter import Run, check_net

TOLERANCE = 1e-4
LARGEST_BATCH = 128


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
    """

    max_error: float
    tolerance: float
    n: int
    batch_sizes: tuple[int, ...]
    agreement: float
    images_sha256: str

    def as_json(self) -> dict[str, Any]:
        """A flat object."""
        return asdict(self) | {"batch_sizes": list(self.batch_sizes)}


def prove_parity(
    net: nn.Module, path: Path, images: Tensor, *, exporter: str = "onnx", tolerance: float = TOLERANCE
) -> Parity:
    """Run the file and the network on the same images, in several batch sizes, and compare.

    Args:
        net: in evaluation mode; what was exported to ``path``.
        path: the file.
        images: ``(n >= 2, c, h, w) float32``, real and prepared; noise hides errors that images show.
        exporter: name in ``EXPORTERS``.
        tolerance: of the relative error.

    Raises:
        ExportError: too few or all equal images, a file that does not run, or an error over ``tolerance``.
    """
    check_net(net, images)
    n = len(images)
    if n < 2 or not bool(torch.isfinite(images).all()) or bool((images == images[:1]).all()):
        raise ExportError(f"parity needs at least 2 different, finite images, but got {n} that are not")
    run: Run = EXPORTERS.load(exporter)().load(path)
    with torch.inference_mode():
        wanted = torch.cat([net(part) for part in torch.split(images, LARGEST_BATCH)]).numpy()
    inputs = np.ascontiguousarray(images.numpy())
    sizes = sorted({1, min(3, n), min(n, LARGEST_BATCH)})
    worst, agreement = 0.0, 1.0
    for size in sizes:
        # one by one, a few images are proof enough; the largest batch covers them all
        some = inputs if size == sizes[-1] else inputs[: min(n, 4 * size)]
        got = np.concatenate([_run(run, some[i : i + size], path) for i in range(0, len(some), size)])
        worst = max(worst, relative_error(got, wanted[: len(some)], wanted))
        agreement = min(agreement, float((got.argmax(1) == wanted[: len(some)].argmax(1)).mean()))
    if not worst <= tolerance:  # so that NaN fails
        raise ExportError(
            f"max|file - net| / max(1, max|net|) <= {tolerance:g} must hold, but {path.name} has {worst:.3g} "
            f"on {n} images"
        )
    digest = hashlib.sha256(inputs.tobytes()).hexdigest()
    return Parity(worst, tolerance, n, tuple(sizes), agreement, digest)


def relative_error(
    got: NDArray[np.float32], wanted: NDArray[np.float32], all_wanted: NDArray[np.float32]
) -> float:
    """``max|got - wanted| / max(1, max|all_wanted|)``; infinite if a value is not finite or shapes differ."""
    if got.shape != wanted.shape or not np.isfinite(got).all() or not np.isfinite(all_wanted).all():
        return float("inf")
    difference = np.abs(got.astype(np.float64) - wanted.astype(np.float64)).max()
    return float(difference / max(1.0, float(np.abs(all_wanted).max())))


def _run(run: Run, images: NDArray[np.float32], path: Path) -> NDArray[np.float32]:
    try:
        return run(images)
    except Exception as error:  # the runtime's exceptions share no base class but this
        raise ExportError(f"{path.name} must run on batches of {len(images)}, but: {error}") from error
