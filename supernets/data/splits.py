"""The examples of one split: in memory or streamed, with a hash."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from supernets.data.batches import batch_indices
from supernets.errors import DataError


class TrainSplit(Protocol):
    """What training needs of its examples, be they in memory or streamed."""

    @property
    def name(self) -> str:
        """Its split."""

    @property
    def labels(self) -> Tensor:
        """``(n,) int64``."""

    @property
    def sha256(self) -> str:
        """A hash that another order, label or form changes."""

    def __len__(self) -> int: ...

    @property
    def shape(self) -> tuple[int, ...]:
        """That of one example: channels, height and width of an image, tokens of a text."""

    @property
    def stored_bytes(self) -> int:
        """Memory of the examples that are held."""

    def head(self, n: int) -> Tensor:
        """The first ``n`` examples that are held, or all."""

    def sample(self, rng: np.random.Generator, n: int) -> tuple[Tensor, Tensor]:
        """``n`` examples and their labels, drawn without replacement."""

    def batch(
        self, batch_size: int, seed: int, step: int, part: slice = slice(None)
    ) -> tuple[Tensor, Tensor]:
        """Examples and labels of ``part`` of the batch of global step ``step``."""


@dataclass(frozen=True, eq=False)
class HeldSplit(ABC):
    """One split in memory: ``stored (n, ...)`` examples, ``labels (n, ...) int64``, and a hash over both."""

    name: str
    stored: Tensor
    labels: Tensor
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        self.check()
        digest = hashlib.sha256(repr(tuple(self.stored.shape)).encode())
        digest.update(np.ascontiguousarray(self.stored.numpy()).data)
        digest.update(np.ascontiguousarray(self.labels.numpy().astype("<i8")).data)
        object.__setattr__(self, "sha256", digest.hexdigest())

    @abstractmethod
    def check(self) -> None:
        """Refuse examples or labels of another type or shape with a ``DataError``."""

    def __len__(self) -> int:
        return len(self.stored)

    @property
    def shape(self) -> tuple[int, ...]:
        """That of one example."""
        return tuple(self.stored.shape[1:])

    @property
    def stored_bytes(self) -> int:
        """Memory of the examples."""
        return self.stored.numel() * self.stored.element_size()

    def head(self, n: int) -> Tensor:
        """The first ``n`` examples, or all."""
        return self.stored[:n]

    def sample(self, rng: np.random.Generator, n: int) -> tuple[Tensor, Tensor]:
        """``n`` examples and their labels, drawn without replacement."""
        chosen = torch.from_numpy(rng.choice(len(self), size=n, replace=False))
        return self.stored[chosen], self.labels[chosen]

    def batch(
        self, batch_size: int, seed: int, step: int, part: slice = slice(None)
    ) -> tuple[Tensor, Tensor]:
        """Examples and labels of ``part`` of the batch of global step ``step``; see :func:`batch_indices`."""
        chosen = batch_indices(len(self), batch_size, seed, step)[part]
        return self.stored[chosen], self.labels[chosen]


class Split(HeldSplit):
    """Images ``(n, c, h, w) uint8`` with labels ``(n,)``."""

    @property
    def images(self) -> Tensor:
        """The stored examples."""
        return self.stored

    def check(self) -> None:
        """See :meth:`HeldSplit.check`."""
        images, labels = self.stored, self.labels
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[2] != images.shape[3]:
            raise DataError(
                f"images must be uint8 (n, c, r, r), but {self.name} is {images.dtype} {tuple(images.shape)}"
            )
        if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
            raise DataError(
                f"labels must be int64 ({len(images)},), but {self.name} has {labels.dtype} "
                f"{tuple(labels.shape)}"
            )
