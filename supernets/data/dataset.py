"""Examples in three splits, each with a hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from supernets.data.splits import HeldSplit, Split, TrainSplit
from supernets.data.stored.order import permutation
from supernets.data_facts.report import DataReport, Details
from supernets.errors import DataError

SPLITS = ("train", "validation", "test")
MIN_SPLIT = 20
"""A split with fewer images is useless: the standard error of its accuracy would exceed ten points."""
BACKGROUND = "white"
"""What transparent parts of an image become."""
SHARES = {2: 5, 1: 6, 0: 1}
"""Number of missing splits to ``k``: each of them becomes one image in ``k`` of train."""


COUNTED_BYTES = 8 << 20


def count_pixels(images: Tensor) -> NDArray[np.int64]:
    """How often each of the 256 values stands in ``images`` ``(n, ...) uint8``.

    NumPy counts integers of 8 bytes, so that only a few images are converted at once.
    """
    counts = np.zeros(256, dtype=np.int64)
    at_once = max(1, COUNTED_BYTES // max(1, images[:1].numel()))
    for part in torch.split(images, at_once):
        counts += np.bincount(part.numpy().reshape(-1), minlength=256)
    return counts


@dataclass(frozen=True, slots=True)
class Expected:
    """What a network that was trained elsewhere expects of images.

    Attributes:
        mean: of pixels in 0..1, per channel.
        std: of pixels in 0..1, per channel.
        crop: share of the side that the centre crop keeps before images are resized.
        outputs: the output that stands for each class of the data set.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop: float
    outputs: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class DataSet:
    """A named data set: train (weights, recalibration), validation (search), test (what is returned, once).

    ``name`` is the data spec as text. ``report`` is the data report of a user's own images. ``expected`` replaces
    what would be derived from the images for preprocessing and labels, for a network that was trained on others.

    Promises: the splits share no image of the source, have equal channels and size, and every class is in
    ``train``; same name and seed give the same hashes. Every prefix of a split that was cut out of train
    holds the classes in proportion.
    """

    name: str
    classes: tuple[str, ...]
    train: TrainSplit
    validation: HeldSplit
    test: HeldSplit
    report: DataReport | None = None
    expected: Expected | None = None
    reads: ClassVar[str] = "images"
    """What an example is: that of the tasks that can use the data."""

    def __post_init__(self) -> None:
        shape = self.train.shape
        for split in (self.train, self.validation, self.test):
            if split.shape != shape:
                raise DataError(
                    f"all splits of {self.name!r} must have equal channels and size, but train has "
                    f"{shape} and {split.name} {split.shape}"
                )
            if len(split) < MIN_SPLIT:
                raise DataError(
                    f"every split needs at least {MIN_SPLIT} {self.reads}, but {split.name} of {self.name!r} "
                    f"has {len(split)}; add {self.reads}"
                )
        self.check_labels()

    def check_labels(self) -> None:
        """Refuse labels that are no class, and a train split without an example of every class."""
        for split in (self.train, self.validation, self.test):
            if int(split.labels.min()) < 0 or int(split.labels.max()) >= len(self.classes):
                raise DataError(
                    f"labels must lie in 0..{len(self.classes) - 1} in {split.name} of {self.name!r}"
                )
        seen = set(torch.unique(self.train.labels).tolist())
        missing = [name for label, name in enumerate(self.classes) if label not in seen]
        if len(self.classes) < 2 or missing:
            raise DataError(
                f"train of {self.name!r} must show at least 2 classes and every class, "
                f"but it has {len(seen)} of {len(self.classes)}; missing: {', '.join(missing[:10]) or 'none'}"
            )

    @property
    def channels(self) -> int:
        """1 (grey) or 3 (RGB)."""
        return self.train.shape[0]

    @property
    def base_resolution(self) -> int:
        """Height and width of the stored images, in pixels."""
        return self.train.shape[1]

    @cached_property
    def _moments(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        mean, std = [], []
        values = np.arange(256) / 255.0
        images = self.train.head(len(self.train))
        for channel in range(self.channels):
            counts = count_pixels(images[:, channel])
            share = counts / counts.sum()
            mean.append(round(float(share @ values), 6))
            std.append(max(round(float(np.sqrt(share @ (values - share @ values) ** 2)), 6), 1e-3))
        return tuple(mean), tuple(std)

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean of ``train`` (or of what is held of it) per channel, of pixels in 0..1."""
        return self._moments[0] if self.expected is None else self.expected.mean

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of ``train`` (or of what is held of it) per channel, of pixels in 0..1."""
        return self._moments[1] if self.expected is None else self.expected.std

    @property
    def outputs(self) -> list[int] | None:
        """The output that stands for each class, for a network that was trained elsewhere; None for any other."""
        return None if self.expected is None else list(self.expected.outputs)

    def split(self, name: str) -> TrainSplit:
        """The split called ``name``; raises ``DataError`` for another word."""
        if name not in SPLITS:
            raise DataError(f"unknown split {name!r}; choices: {', '.join(SPLITS)}")
        split: TrainSplit = getattr(self, name)
        return split

    def held(self, name: str) -> HeldSplit:
        """The split called ``name`` where all of it is in memory; a streamed one raises ``DataError``."""
        split = self.split(name)
        if not isinstance(split, HeldSplit):
            raise DataError(f"{name} of {self.name!r} is streamed: evaluate on validation or test")
        return split

    @property
    def stored_bytes(self) -> int:
        """Memory of the images of all splits."""
        return sum(split.stored_bytes for split in (self.train, self.validation, self.test))

    def describe(self) -> dict[str, Any]:
        """Name, and size and hash of every split, as JSON: what a manifest stores."""
        splits = {name: {"n": len(self.split(name)), "sha256": self.split(name).sha256} for name in SPLITS}
        return {"name": self.name, "splits": splits}

    def tokenizer_file(self) -> str | None:
        """The content of the tokenizer of texts, which exported files carry; None where there is none."""
        return None

    def preprocessing(self) -> dict[str, object]:
        """What must be done to an image before a network sees it, as JSON.

        Loading does the part up to ``base_resolution``, which ``fit``, ``background`` and ``value_range`` (None where
        no image has more than 8 bits) describe; :func:`prepare` does the rest.
        """
        crop = {} if self.expected is None else {"crop": self.expected.crop}
        stored = Details() if self.report is None else self.report.details
        return {
            **crop,
            "orientation": "exif",
            "background": BACKGROUND,
            "fit": stored.fit or "crop",
            "value_range": None if stored.range is None else list(stored.range),
            "mean": list(self.mean),
            "std": list(self.std),
            "channels": self.channels,
            "base_resolution": self.base_resolution,
            "resize": "bilinear-antialias",
            "range": "0..1",
        }


def stratified(labels: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """An order ``(n,) int64`` of ``labels (n,)``: every prefix holds the classes nearly in proportion.

    The images of each class are shuffled and spread evenly over 0..1; the order is by that position.
    """
    n = len(labels)
    shuffled = permutation(n, seed)
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    counts = np.unique(labels, return_counts=True)[1]
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    position = (np.arange(n) - starts + 0.5) / np.repeat(counts, counts)
    return by_class[np.argsort(position, kind="stable")]


def carve(
    images: Tensor, labels: Tensor, sizes: Mapping[str, int], seed: int, rest: str = "train"
) -> dict[str, Split]:
    """Cut the splits named in ``sizes`` out of one pile, stratified by class; what is left is ``rest``."""
    if sum(sizes.values()) >= len(images):
        raise DataError(
            f"splits of {dict(sizes)} images must leave some for {rest}, but there are {len(images)} in all"
        )
    order = torch.from_numpy(stratified(labels.numpy(), seed))
    bounds = [*sizes.values(), len(images) - sum(sizes.values())]
    parts = torch.split(order, bounds)
    return {
        name: Split(name, images[part], labels[part])
        for name, part in zip([*sizes, rest], parts, strict=True)
    }


def cut_out(sizes: Mapping[str, int]) -> dict[str, int]:
    """The splits that a source with ``sizes`` lacks, and how many images of train become each of them."""
    missing = [split for split in SPLITS[1:] if split not in sizes]
    return dict.fromkeys(missing, sizes.get("train", 0) // SHARES[len(missing)])


def left_for_train(sizes: Mapping[str, int]) -> int:
    """How many images train keeps of a source with these splits, once the missing ones are cut out."""
    return sizes["train"] - sum(cut_out(sizes).values())


def assemble(
    name: str,
    classes: Sequence[str],
    piles: Mapping[str, tuple[Tensor, Tensor]],
    seed: int,
    report: DataReport | None = None,
) -> DataSet:
    """A data set from the splits that the source has; missing ones are cut out of ``train``.

    With only ``train``: 60/20/20. With train and test, or train and validation: a sixth of train becomes
    the missing one.
    """
    if "train" not in piles:
        raise DataError(
            f"a data set needs a train split, but {name!r} has only: {', '.join(piles) or 'none'}",
            "no_train_split",
        )
    splits = {split: Split(split, *pile) for split, pile in piles.items() if split != "train"}
    images, labels = piles["train"]
    missing = cut_out({split: len(pile[0]) for split, pile in piles.items()})
    share = SHARES[len(missing)]
    if missing and len(images) < MIN_SPLIT * share:
        raise DataError(
            f"{name!r} has {len(images)} training images, too few to cut out {' and '.join(missing)}: "
            f"at least {MIN_SPLIT * share} are needed",
            "too_few_images",
        )
    splits |= carve(images, labels, missing, seed)
    return DataSet(name, tuple(classes), splits["train"], splits["validation"], splits["test"], report)
