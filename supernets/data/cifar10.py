"""CIFAR-10 (Krizhevsky, 2009): 60,000 colour 32x32 images in ten classes."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from supernets.data.dataset import carve
from supernets.data.facts import Facts
from supernets.data.images import resized
from supernets.data.load import FILES, Piles, Request
from supernets.data.parquet import read_table

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
VALIDATION = 5_000


def load(request: Request) -> Piles:
    """Train 45,000, validation 5,000 (carved out of the official train), and the official test of 10,000."""
    if request.data_dir is None:
        from supernets.data.hub import from_hub

        source = from_hub("cifar10", channels=3)
    else:
        files = zip(("train", "test"), FILES["cifar10"], strict=True)
        source = {split: _read(request.data_dir / file) for split, file in files}
    splits = {
        name: (resized(images, request.resolution), labels) for name, (images, labels) in source.items()
    }
    carved = carve(*splits["train"], {"validation": VALIDATION}, request.seed)
    return Piles(
        CLASSES,
        {name: (part.images, part.labels) for name, part in carved.items()} | {"test": splits["test"]},
    )


def facts(request: Request) -> Facts:
    """Those of the official files."""
    return Facts(request.name, CLASSES, 3, request.resolution or 32, train=50_000 - VALIDATION, held=60_000)


def _read(path: Path) -> tuple[Tensor, Tensor]:
    table = read_table(path, resolution=32, channels=3)
    return table.images, table.labels
