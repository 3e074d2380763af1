"""Labels plus a frozen teacher's soft labels (once-for-all, Cai et al., 2020, arXiv:1908.09791)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from supernets.errors import RecipeError
from supernets.recipes.parts import Item, Loss
from supernets.tasks.task import Task


class LabelsAndTeacher(Loss):
    """The task's loss plus ``kappa`` times its soft loss; without a teacher the loss alone.

    For classification: ``CE_ls(f, y) + kappa · CE(softmax(t), f)``.
    """

    def __init__(self, label_smoothing: float = 0.1, kappa: float = 1.0) -> None:
        if not 0 <= label_smoothing < 1 or not kappa >= 0:
            raise RecipeError(
                f"label_smoothing must lie in [0, 1) and kappa be at least 0, got {label_smoothing}, {kappa}"
            )
        self._smoothing, self._kappa = label_smoothing, kappa

    def __call__(
        self, task: Task, item: Item, outputs: Tensor, targets: Tensor, bank: Mapping[str, Tensor]
    ) -> Tensor:
        """Mean loss ``()`` of ``outputs``; a teacher's outputs are in ``bank``, detached."""
        loss = task.loss(outputs, targets, self._smoothing)
        if item.targets_from is None:
            return loss
        return loss + self._kappa * task.soft_loss(outputs, bank[item.targets_from], targets)
