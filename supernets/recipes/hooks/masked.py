"""Items' gradients held to the weights of their arch and aggregated entry by entry (DepS, arXiv:2407.06167)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from supernets.errors import RecipeError
from supernets.recipes.parts import Hook, ItemGradients

AGGREGATES = ("sum", "mean", "sqrt_mean")


class MaskedGradients(Hook):
    """``sum w m g``, divided entry by entry by 1 (``sum``), ``sum w m`` (``mean``) or its root (``sqrt_mean``).

    ``m`` is the 0/1 mask of an item's arch and ``w`` its weight; an entry no item uses is 0.
    """

    per_item = True
    needs_masks = True

    def __init__(self, aggregate: str = "sum") -> None:
        if aggregate not in AGGREGATES:
            raise RecipeError(f"aggregate must be one of {', '.join(AGGREGATES)}, got {aggregate!r}")
        self._aggregate = aggregate

    def combine(self, parts: Sequence[ItemGradients]) -> dict[str, Tensor]:
        """The step's gradient by parameter name."""
        combined = {}
        for name, first in parts[0].gradients.items():
            total, share = torch.zeros_like(first), torch.zeros_like(first)
            for part in parts:
                mask = part.masks[name].to(first)
                total += part.weight * mask * part.gradients[name]
                share += part.weight * mask
            if self._aggregate != "sum":
                share = share.sqrt() if self._aggregate == "sqrt_mean" else share
                total = torch.where(share > 0, total / share.clamp_min(1e-12), torch.zeros_like(total))
            combined[name] = total
        return combined
