"""Fashion-MNIST (Xiao, Rasul and Vollgraf, 2017): 70,000 grey 28x28 images of clothes, MIT."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from supernets.data.dataset import carve
from supernets.data.facts import Facts
from supernets.data.images import resized
from supernets.data.load import FILES, Piles, Request
from supernets.errors import DataError

CLASSES = (
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
VALIDATION = 10_000


def load(request: Request) -> Piles:
    """Train 50,000, validation 10,000 (carved out of the official train), and the official test of 10,000."""
    if request.data_dir is None:
        from supernets.data.hub import from_hub

        source = from_hub("fashion_mnist", channels=1)
    else:
        source = read(request.data_dir / FILES["fashion_mnist"][0])
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
    return Facts(request.name, CLASSES, 1, request.resolution or 28, train=60_000 - VALIDATION, held=70_000)


def read(path: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """The official train and test of an npz file with ``x_train``, ``y_train``, ``x_test`` and ``y_test``."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {
                split: (
                    torch.from_numpy(arrays[f"x_{split}"]).unsqueeze(1),
                    torch.from_numpy(arrays[f"y_{split}"].astype(np.int64)),
                )
                for split in ("train", "test")
            }
    except (KeyError, ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path.name} must hold x_train, y_train, x_test and y_test as plain arrays, but: {error}"
        ) from error
