"""In-place distillation: subnets learn from the largest one's output (BigNAS, arXiv:2003.11142)."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor

from supernets.errors import RecipeError
from supernets.recipes.parts import Item, Loss


class InplaceDistillation(Loss):
    """``CE_ls(f, y)`` where an item learns from labels, ``T² · CE(softmax(t / T), f / T)`` from a teacher."""

    def __init__(self, label_smoothing: float = 0.1, temperature: float = 1.0) -> None:
        if not 0 <= label_smoothing < 1 or not temperature > 0:
            raise RecipeError(
                f"label_smoothing must lie in [0, 1) and temperature above 0, got {label_smoothing}, {temperature}"
            )
        self._smoothing, self._temperature = label_smoothing, temperature

    def __call__(self, item: Item, logits: Tensor, labels: Tensor, bank: Mapping[str, Tensor]) -> Tensor:
        """Mean loss ``()`` of ``logits (n, classes)``; a teacher's logits are in ``bank``, detached."""
        if item.targets_from is None:
            return F.cross_entropy(logits, labels, label_smoothing=self._smoothing)
        soft = F.softmax(bank[item.targets_from].detach() / self._temperature, dim=1)
        return self._temperature**2 * F.cross_entropy(logits / self._temperature, soft)
