"""Criteria of HESSO (Chen et al., 2024) and of DHSPG (OTOv2) from sums over the entries of each unit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

TINY = 1e-30


@dataclass(frozen=True)
class UnitSums:
    """Of each unit ``(units,)``: ``⟨x, g⟩``, ``‖x‖²``, ``‖g‖²`` and the number of entries."""

    product: Tensor
    weights: Tensor
    slopes: Tensor
    entries: Tensor

    @property
    def cosine(self) -> Tensor:
        """``cos(x, g)``."""
        return self.product / (self.weights * self.slopes).sqrt().clamp_min(TINY)

    @property
    def average(self) -> Tensor:
        """``‖x‖ / √entries``."""
        return (self.weights / self.entries).sqrt()


CRITERIA: dict[str, Callable[[UnitSums], Tensor]] = {
    "magnitude": lambda sums: sums.weights.sqrt(),
    "average_magnitude": lambda sums: sums.average,
    "cosine": lambda sums: 1 - sums.cosine,
    "taylor": lambda sums: sums.product.abs(),
    "taylor_squared": lambda sums: sums.product.square() / 2,
}
"""The five criteria of HESSO. ``cosine`` has the sense of DHSPG: a unit that the next step shrinks anyway, where ``x``
and ``g`` agree, is worth less."""


def normed(values: Tensor) -> Tensor:
    """Divided by the L2 norm over all units."""
    norm: Tensor = torch.linalg.vector_norm(values)
    return values / norm.clamp_min(TINY)


def hesso_scores(sums: UnitSums, *, agreeing_goes: bool = True) -> Tensor:
    """How much a unit is worth: the five criteria, each divided by its norm over all units, a fifth each.

    With ``agreeing_goes`` False the cosine counts the other way round, as in released code.
    """
    found = {name: criterion(sums) for name, criterion in CRITERIA.items()}
    if not agreeing_goes:
        found["cosine"] = 1 + sums.cosine
    return torch.stack([normed(each) for each in found.values()]).mean(0)


def dhspg_redundancy(sums: UnitSums) -> Tensor:
    """How redundant a unit is: half ``cos(-x, -g)``, half ``1 / mean|x|``, each divided by its norm over all units.

    The mean is the root of the mean square.
    """
    return (normed(sums.cosine) + normed(1 / sums.average.clamp_min(TINY))) / 2
