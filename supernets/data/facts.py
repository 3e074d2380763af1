"""What can be told of a data set without loading its images: from names, headers and labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from supernets.data.load import requested
from supernets.registry import Registry

FACTS = Registry(
    "data set",
    {
        "digits": "supernets.data.digits:facts",
        "fashion_mnist": "supernets.data.fashion_mnist:facts",
        "cifar10": "supernets.data.cifar10:facts",
        "folder": "supernets.data.folder:facts",
        "parquet": "supernets.data.parquet:facts",
        "stream": "supernets.data.stream:facts",
        "hub": "supernets.data.stream:hub_facts",
    },
)
"""The same words as in ``DATASETS``, to what says this."""

HEADERS = 1000
"""The most images whose header is read; a data set of more may turn out to hold others."""


@dataclass(frozen=True)
class Facts:
    """``None`` is what only loading tells.

    Attributes:
        name: of the data set.
        classes: their names, in order.
        channels: 1 (grey) or 3 (RGB).
        resolution: of the stored images, in pixels; a good guess where there are more than ``HEADERS`` images.
        train: number of training images.
        held: number of images that are in memory while training, of all splits.
    """

    name: str
    classes: tuple[str, ...] | None = None
    channels: int | None = None
    resolution: int | None = None
    train: int | None = None
    held: int | None = None

    @property
    def stored_bytes(self) -> int | None:
        """Memory of the images."""
        if self.channels is None or self.resolution is None or self.held is None:
            return None
        return self.held * self.channels * self.resolution**2


def data_facts(name: str, data_dir: Path | None = None) -> Facts:
    """What is known of the data set that ``load_data`` would load; raises as it does where that shows already."""
    kind, request = requested(name, data_dir)
    found: Facts = FACTS.load(kind)(request)
    return found
