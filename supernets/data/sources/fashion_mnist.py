"""Fashion-MNIST (Xiao, Rasul and Vollgraf, 2017): 70,000 grey 28x28 images of clothes, MIT."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from supernets.data.dataset import carve
from supernets.data.images import resized
from supernets.data.source import OfficialSource
from supernets.data.stored.archive import read_arrays

VALIDATION = 10_000
MAX_IMAGES = 1_000_000
SIDE = 28


class FashionMnist(OfficialSource):
    """Train 50,000, validation 10,000 (cut out of the official train), and the official test of 10,000."""

    names = ("fashion_mnist.npz",)
    classes = (
        "t-shirt/top",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    )
    channels = 1
    resolution = SIDE
    sizes = {"train": 60_000 - VALIDATION, "validation": VALIDATION, "test": 10_000}

    def piles(self) -> dict[str, tuple[Tensor, Tensor]]:
        """From the data folder or the hub."""
        if self.data_dir is None:
            from supernets.data.listed import from_hub

            source = from_hub("fashion_mnist", self.channels, self.resolution)
        else:
            source = read(self.data_dir / self.names[0])
        splits = {
            name: (resized(images, self.spec.resolution), labels) for name, (images, labels) in source.items()
        }
        carved = carve(*splits["train"], {"validation": VALIDATION}, self.seed)
        return {name: (part.images, part.labels) for name, part in carved.items()} | {"test": splits["test"]}


def read(path: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """The official train and test of an npz file with ``x_train``, ``y_train``, ``x_test`` and ``y_test``."""
    shapes = {
        f"{kind}_{split}": ((MAX_IMAGES, SIDE, SIDE) if kind == "x" else (MAX_IMAGES,))
        for split in ("train", "test")
        for kind in "xy"
    }
    arrays = read_arrays(path, shapes)
    return {
        split: (
            torch.from_numpy(arrays[f"x_{split}"]).unsqueeze(1),
            torch.from_numpy(arrays[f"y_{split}"].astype(np.int64)),
        )
        for split in ("train", "test")
    }
