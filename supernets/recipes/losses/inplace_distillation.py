"""In-place distillation: subnets learn from the largest one's output (BigNAS, arXiv:2003.11142)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from supernets.errors import RecipeError
from supernets.recipes.parts import Item, Loss
from supernets.tasks.task import Task


class InplaceDistillation(Loss):
    """The task's loss where an item learns from targets, its soft loss at temperature ``T`` from a teacher.

    For classification: ``CE_ls(f, y)`` and ``T² · CE(softmax(t / T), f / T)``.
    """

    def __init__(self, label_smoothing: float = 0.1, temperature: float = 1.0) -> None:
        if not 0 <= label_smoothing < 1 or not temperature > 0:
            raise RecipeError(
                f"label_smoothing must lie in [0, 1) and temperature above 0, got {label_smoothing}, {temperature}"
            )
        self._smoothing, self._temperature = label_smoothing, temperature

    def __call__(
        self, task: Task, item: Item, outputs: Tensor, targets: Tensor, bank: Mapping[str, Tensor]
    ) -> Tensor:
        """Mean loss ``()`` of ``outputs``; a teacher's outputs are in ``bank``, detached."""
        if item.targets_from is None:
            return task.loss(outputs, targets, self._smoothing)
        return task.soft_loss(outputs, bank[item.targets_from], targets, self._temperature)
