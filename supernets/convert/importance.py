"""How important each unit of an axis is: what a subnet keeps first."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from supernets.traced.groups import Groups, channel_axes

Scores = dict[int, Tensor]
"""Group to the importance of its units, ``(units,) float64``; higher is kept longer."""


def sums_of_units(groups: Groups, entries: Mapping[str, Tensor]) -> Scores:
    """Sums of ``entries`` (tensors like the weights, by name) over all entries of each unit."""
    per_class = np.zeros(groups.classes.n)
    for weight, axis, labels in channel_axes(groups.graph, groups.followed):
        if weight.name not in entries:
            continue
        own = entries[weight.name].detach().double()
        along = own.sum([d for d in range(own.ndim) if d != axis]).cpu().numpy()
        np.add.at(per_class, groups.classes.of[labels], along)
    return {index: torch.from_numpy(per_class[group.units]) for index, group in enumerate(groups.groups)}


def magnitude(groups: Groups, weights: Mapping[str, Tensor]) -> Scores:
    """The L2 norm of all parameters of a unit, each weight scaled to a mean square of one.

    Scaling keeps a wide layer from deciding alone for all layers that share a channel.
    """
    squares = {}
    for weight in groups.graph.weights:
        tensor = weights[weight.name]
        if weight.kind == "parameter" and tensor.is_floating_point():
            square = tensor.detach().double().square()
            squares[weight.name] = square / square.mean().clamp_min(1e-30)
    return {index: total.sqrt() for index, total in sums_of_units(groups, squares).items()}


def order_of(scores: Scores) -> dict[int, Tensor]:
    """Units of each group, the most important first; equal ones in the order of the original."""
    return {index: torch.argsort(score, descending=True, stable=True) for index, score in scores.items()}
