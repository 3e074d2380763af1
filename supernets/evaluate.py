"""How good a subnet is: recalibrate on training images, then evaluate on a split, with a standard error."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch

from supernets.checkpoints import Supernet
from supernets.data import DataSet, prepare
from supernets.device import exact
from supernets.elastic.active import ElasticModel, use
from supernets.elastic.norm import BNStats
from supernets.elastic.recalibrate import recalibrate
from supernets.errors import DataError
from supernets.spaces.space import Arch

CALIBRATION_IMAGES = 2048
BATCH_SIZE = 256


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A quality value with all that it depends on; ``value`` is a fraction for accuracy, higher is better."""

    metric: str
    value: float
    standard_error: float
    n: int
    split: str
    split_sha256: str
    precision: str
    stats_sha256: str

    def as_json(self) -> dict[str, Any]:
        """A flat object."""
        return asdict(self)


def calibrate(net: ElasticModel, data: DataSet, arch: Arch) -> BNStats:
    """BatchNorm statistics of ``arch`` over the first training images (2,048, or all of a smaller set).

    The train split lies in a fixed, class-balanced order, so the list is the same everywhere.
    """
    resolution = net.family.input_shape(arch)[1]
    held = data.train.head(CALIBRATION_IMAGES).to(_device(net))
    images = prepare(held, resolution, data.mean, data.std).contiguous(memory_format=torch.channels_last)
    with exact(_device(net)):
        return recalibrate(net, arch, images, BATCH_SIZE)


def _device(net: ElasticModel) -> torch.device:
    return next(net.parameters()).device


def correct(net: ElasticModel, data: DataSet, arch: Arch, stats: BNStats, split: str) -> torch.Tensor:
    """Which images of ``split`` are classified rightly, ``(n,) bool``."""
    chosen = data.held(split)
    resolution = net.family.input_shape(arch)[1]
    right = []
    was_training = net.training
    net.eval()
    try:
        with torch.inference_mode(), use(net, arch, stats), exact(_device(net)):
            for start in range(0, len(chosen), BATCH_SIZE):
                stored = chosen.images[start : start + BATCH_SIZE].to(_device(net))
                images = prepare(stored, resolution, data.mean, data.std)
                logits = net(images.contiguous(memory_format=torch.channels_last))
                right.append(logits.argmax(1).cpu() == chosen.labels[start : start + BATCH_SIZE])
    finally:
        net.train(was_training)
    return torch.cat(right)


def evaluate_net(
    net: ElasticModel, data: DataSet, arch: Arch, split: str, stats: BNStats | None = None
) -> Evaluation:
    """Accuracy of ``arch`` on ``split``, with BatchNorm statistics computed unless given."""
    stats = stats or calibrate(net, data, arch)
    right = correct(net, data, arch, stats, split)
    return summarise(right, data, split, stats)


def summarise(right: torch.Tensor, data: DataSet, split: str, stats: BNStats) -> Evaluation:
    """Accuracy and its binomial standard error from per-image hits ``(n,) bool``."""
    n, value = len(right), float(right.double().mean())
    return Evaluation(
        metric="accuracy",
        value=value,
        standard_error=math.sqrt(max(value * (1 - value), 1 / n / 4) / n),
        n=n,
        split=split,
        split_sha256=data.split(split).sha256,
        precision="fp32",
        stats_sha256=stats.sha256,
    )


def check_data(supernet: Supernet, data: DataSet) -> None:
    """Refuse data other than that the supernet was trained on: its splits would mix."""
    for name, known in supernet.manifest.data["splits"].items():
        got = data.split(name).sha256
        if got != known["sha256"]:
            raise DataError(
                f"{name} split of {data.name!r} must have hash {known['sha256'][:12]} "
                f"(that of {supernet.manifest.name}), got {got[:12]}"
            )


def evaluate_arch(
    supernet: Supernet, data: DataSet, arch: Arch, split: str, stats: BNStats | None = None
) -> Evaluation:
    """Quality of a subnet of ``supernet`` on ``split`` (``validation`` for search, ``test`` for what is returned)."""
    check_data(supernet, data)
    return evaluate_net(supernet.net, data, arch, split, stats)


def calibrated(supernet: Supernet, data: DataSet, arch: Arch) -> BNStats:
    """The statistics that :func:`evaluate_arch` and the export share."""
    check_data(supernet, data)
    return calibrate(supernet.net, data, arch)
