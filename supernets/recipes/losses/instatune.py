"""Labels and soft labels in fixed shares (InstaTune, Nittur Sridhar et al., 2023)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from supernets.errors import RecipeError
from supernets.recipes.parts import Item, Loss
from supernets.tasks.task import Task


class InstatuneLoss(Loss):
    """``alpha`` times the task's loss, plus ``1 - alpha`` times its soft loss where there is something to learn from.

    The soft loss of classification is the cross entropy with the teacher's softened outputs: its gradient is that of
    the Kullback-Leibler divergence, from which it differs by the teacher's entropy.
    """

    def __init__(self, alpha: float = 0.3, temperature: float = 1.0, label_smoothing: float = 0.0) -> None:
        if not 0 <= alpha <= 1 or not temperature > 0 or not 0 <= label_smoothing < 1:
            raise RecipeError(
                f"alpha must lie in [0, 1], temperature be above 0 and label_smoothing lie in [0, 1), got {alpha}, "
                f"{temperature} and {label_smoothing}"
            )
        self._alpha, self._temperature, self._smoothing = alpha, temperature, label_smoothing

    def __call__(
        self, task: Task, item: Item, outputs: Tensor, targets: Tensor, bank: Mapping[str, Tensor]
    ) -> Tensor:
        """Mean loss ``()`` of ``outputs``; what ``item`` learns from is in ``bank``, detached."""
        loss = self._alpha * task.loss(outputs, targets, self._smoothing)
        if item.targets_from is None:
            return loss
        soft = task.soft_loss(outputs, bank[item.targets_from], targets, self._temperature)
        return loss + (1 - self._alpha) * soft
