"""Labels plus a frozen teacher's soft labels (once-for-all, Cai et al., 2020, arXiv:1908.09791)."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor

from supernets.errors import RecipeError
from supernets.recipes.parts import Item, Loss


class LabelsAndTeacher(Loss):
    """``CE_ls(f, y) + kappa · CE(softmax(t), f)``; without a teacher the labels alone."""

    def __init__(self, label_smoothing: float = 0.1, kappa: float = 1.0) -> None:
        if not 0 <= label_smoothing < 1 or not kappa >= 0:
            raise RecipeError(
                f"label_smoothing must lie in [0, 1) and kappa be at least 0, got {label_smoothing}, {kappa}"
            )
        self._smoothing, self._kappa = label_smoothing, kappa

    def __call__(self, item: Item, logits: Tensor, labels: Tensor, bank: Mapping[str, Tensor]) -> Tensor:
        """Mean loss ``()`` of ``logits (n, classes)``; a teacher's logits are in ``bank``, detached."""
        loss = F.cross_entropy(logits, labels, label_smoothing=self._smoothing)
        if item.targets_from is None:
            return loss
        soft = F.softmax(bank[item.targets_from].detach(), dim=1)
        return loss + self._kappa * F.cross_entropy(logits, soft)
