"""Adaptive alpha-divergence distillation, from the formulas of AlphaNet (Wang et al., 2021, arXiv:2102.07954)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from supernets.errors import RecipeError
from supernets.recipes.parts import Item, Loss
from supernets.tasks.task import Task


def divergence(
    teacher: Tensor, student: Tensor, alpha: float, clip: float | None = None
) -> tuple[Tensor, Tensor]:
    """``D_alpha`` of each row ``(rows,)`` and a surrogate ``(rows,)`` whose gradient is that of ``D_alpha``.

    With teacher ``p``, student ``q`` and ``r = p / q``: ``D = sum q (r^alpha - 1) / (alpha (alpha - 1))``,
    its limits at 0 and 1; the surrogate is ``-sum sg[q rho(r)] log q`` with ``rho = r^alpha / alpha``
    (``log r - 1`` at 0). ``r^alpha`` is held within ``[0, clip]``; at 1, where it is the ordinary
    divergence of Kullback and Leibler, nothing is clipped.

    Args:
        teacher: logits ``(rows, choices)``; no gradient flows into them.
        student: logits ``(rows, choices)``; only the surrogate carries a gradient into them.
        alpha: which divergence.
        clip: largest ``r^alpha``.
    """
    log_q = F.log_softmax(student, dim=1)
    fixed, log_p = log_q.detach(), F.log_softmax(teacher.detach(), dim=1)
    q, log_r = fixed.exp(), log_p - fixed
    if alpha == 0:
        value, rho = -log_r, log_r - 1
    elif alpha == 1:
        value, rho = log_r.exp() * log_r, log_r.exp()
    else:
        power = (alpha * log_r).exp()
        power = power if clip is None else power.clamp(max=clip)
        value, rho = (power - 1) / (alpha * (alpha - 1)), power / alpha
    return (q * value).sum(1), -(q * rho * log_q).sum(1)


class AlphaDivergence(Loss):
    """The task's loss where an item learns from targets; from a teacher, per choice, the larger of two divergences.

    Fits tasks whose outputs are logits of choices (:class:`supernets.tasks.task.CategoricalTask`).
    """

    needs_choices = True

    def __init__(
        self, alpha_min: float = -1.0, alpha_max: float = 1.0, clip: float = 5.0, label_smoothing: float = 0.1
    ) -> None:
        if not alpha_min <= alpha_max or not clip > 0 or not 0 <= label_smoothing < 1:
            raise RecipeError(
                f"alpha_min <= alpha_max, clip > 0 and label_smoothing in [0, 1) must hold, "
                f"got {alpha_min}, {alpha_max}, {clip}, {label_smoothing}"
            )
        self._alphas, self._clip, self._smoothing = (alpha_min, alpha_max), clip, label_smoothing

    def __call__(
        self, task: Task, item: Item, outputs: Tensor, targets: Tensor, bank: Mapping[str, Tensor]
    ) -> Tensor:
        """Mean loss ``()`` of ``outputs``; a teacher's outputs are in ``bank``, detached."""
        if item.targets_from is None:
            return task.loss(outputs, targets, self._smoothing)
        student, teacher = (task.logits(each, targets) for each in (outputs, bank[item.targets_from]))
        low, high = (divergence(teacher, student, alpha, self._clip) for alpha in self._alphas)
        return torch.where(low[0] > high[0], low[1], high[1]).mean()
