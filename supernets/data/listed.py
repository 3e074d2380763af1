"""Data sets of the Hugging Face hub, by allow-list; no code from the hub is ever run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from supernets.data.images import Form, decode_all
from supernets.data.stored.examples import Cell
from supernets.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Listed:
    """Where a data set lies on the hub, its columns, and its names of our splits."""

    repository: str
    image: str
    label: str
    splits: Mapping[str, str] = field(default_factory=lambda: {"train": "train", "test": "test"})


HUB = {
    "fashion_mnist": Listed("zalando-datasets/fashion_mnist", "image", "label"),
    "cifar10": Listed("uoft-cs/cifar10", "img", "label"),
}
"""The allow-list. Both repositories hold parquet files in the official order, so no script is needed."""
STREAMED = HUB | {
    "food101": Listed("ethz/food101", "image", "label", {"train": "train", "test": "validation"}),
    "imagenet": Listed("ILSVRC/imagenet-1k", "image", "label", {"train": "train", "test": "validation"}),
}
"""What ``hub:NAME`` may stream. The labels of these two's own test splits are not public, or there is none."""


def from_hub(name: str, channels: int, resolution: int) -> dict[str, tuple[Tensor, Tensor]]:
    """The official train and test of ``name``; raises ``DataError`` if the hub cannot be reached."""
    if name not in HUB:
        raise DataError(f"only {', '.join(HUB)} may be loaded from the hub, but got {name!r}", "unknown_name")
    source = HUB[name]
    try:
        import datasets

        parts = {split: datasets.load_dataset(source.repository, split=split) for split in ("train", "test")}
        plain = {
            split: part.cast_column(source.image, datasets.Image(decode=False))
            for split, part in parts.items()
        }
    except Exception as error:  # the hub's client raises a dozen unrelated types when there is no network
        raise DataError(
            f"{name} must come from the folder named by NETWRIGHT_DATA, which is not set, or from the "
            f"Hugging Face hub ({source.repository}), which failed with {type(error).__name__}: {error}",
            "hub_unavailable",
        ) from error
    form = Form(channels, resolution)
    return {
        split: (
            decode_all(encoded(part, source.image, f"{source.repository} {split}"), len(part), form),
            torch.tensor(part[source.label][:], dtype=torch.int64),
        )
        for split, part in plain.items()
    }


def encoded(rows: Dataset, column: str, label: str) -> Iterator[Cell]:
    """The encoded images of a column of ``datasets``, one at a time."""
    for index, row in enumerate(rows):
        yield Cell(f"row {index} of {label}", row[column]["bytes"])
