"""The parts of a training method: what is trained in a step, and against what."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from supernets.spaces.space import Arch, Space


@dataclass(frozen=True, slots=True)
class Item:
    """One subnet's part in a step.

    ``role`` names its output in the step's bank and its loss in the log; ``targets_from`` is the role whose
    detached output it learns from (``None``: the labels); ``regularise`` switches dropout on.
    """

    arch: Arch
    role: str
    weight: float = 1.0
    targets_from: str | None = None
    regularise: bool = False


class Sampler(ABC):
    """Which subnets a step trains.

    Promises: members of the space only; the plan is a function of step, generator and what feedback has
    been given, so every process of a training draws the same plan; an item comes after the one it learns from.
    """

    @abstractmethod
    def plan(self, space: Space, step: int, rng: np.random.Generator) -> tuple[Item, ...]:
        """The items of global step ``step``, in the order in which they run."""


class Loss(ABC):
    """What an item's output is held against."""

    @abstractmethod
    def __call__(self, item: Item, logits: Tensor, labels: Tensor, bank: Mapping[str, Tensor]) -> Tensor:
        """Mean loss ``()`` of ``logits (n, classes)``; ``bank`` holds detached logits of earlier items by role."""
