"""CIFAR-10 (Krizhevsky, 2009): 60,000 colour 32x32 images in ten classes."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from supernets.data.dataset import carve
from supernets.data.images import Form, decode_all, resized
from supernets.data.source import OfficialSource
from supernets.data.stored.tables import index_files

VALIDATION = 5_000


class Cifar10(OfficialSource):
    """Train 45,000, validation 5,000 (cut out of the official train), and the official test of 10,000."""

    names = ("cifar10_train.parquet", "cifar10_test.parquet")
    classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    channels = 3
    resolution = 32
    sizes = {"train": 50_000 - VALIDATION, "validation": VALIDATION, "test": 10_000}

    def piles(self) -> dict[str, tuple[Tensor, Tensor]]:
        """From the data folder or the hub."""
        if self.data_dir is None:
            from supernets.data.listed import from_hub

            source = from_hub("cifar10", self.channels, self.resolution)
        else:
            files = zip(("train", "test"), self.names, strict=True)
            source = {split: read(self.data_dir / file) for split, file in files}
        splits = {
            name: (resized(images, self.spec.resolution), labels) for name, (images, labels) in source.items()
        }
        carved = carve(*splits["train"], {"validation": VALIDATION}, self.seed)
        return {name: (part.images, part.labels) for name, part in carved.items()} | {"test": splits["test"]}

    def test(self) -> tuple[Tensor, Tensor]:
        """From its file, or from the hub with the rest."""
        if self.data_dir is None:
            return super().test()
        images, labels = read(self.data_dir / self.names[1])
        return resized(images, self.spec.resolution), labels


def read(path: Path) -> tuple[Tensor, Tensor]:
    """Images and labels of one official file, in its order."""
    examples = index_files({"train": [path]}).splits["train"]
    images = decode_all(examples.cells(examples.labelled), len(examples.labels), Form(3, 32))
    return images, torch.from_numpy(examples.labels)
