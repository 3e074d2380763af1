"""How important each unit of an axis is: what a subnet keeps first.

The scores of HESSO (methods of Chen et al., 2024) need gradients of a loss; magnitude needs none. ``x`` are all
parameters of a unit together, ``g`` their gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from supernets.errors import ConvertError
from supernets.traced.graph import Weight
from supernets.traced.groups import Groups, channel_axes
from supernets.traced.slots import Labels

Scores = dict[int, Tensor]
"""Group to the importance of its units, ``(units,) float64``; higher is kept longer."""
TINY = 1e-30


Place = tuple[Weight, int, Labels]
"""A weight, one of its axes, and the slots along it."""


def reading(groups: Groups) -> list[Place]:
    """Axes of weights that read channels: without them the channels would have no effect."""
    return [
        (weight, axis, labels)
        for weight, axis, labels in channel_axes(groups.graph, groups.followed)
        if weight.kind == "parameter"
        and len(weight.shape) > 1
        and groups.followed.outputs.get(weight.name, 0) != axis
    ]


def sums_of_units(
    groups: Groups, entries: Mapping[str, Tensor], places: Iterable[Place] | None = None
) -> Scores:
    """Sums of ``entries`` (tensors like the weights, by name) over all entries of each unit, at ``places`` only."""
    per_class = np.zeros(groups.classes.n)
    for weight, axis, labels in channel_axes(groups.graph, groups.followed) if places is None else places:
        if weight.name not in entries:
            continue
        own = entries[weight.name].detach().double()
        others = [d for d in range(own.ndim) if d != axis]
        along = (own.sum(others) if others else own).cpu().numpy()  # a sum over no axis is one over all
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
            squares[weight.name] = square / square.mean().clamp_min(TINY)
    return {index: total.sqrt() for index, total in sums_of_units(groups, squares).items()}


@dataclass(frozen=True)
class Moments:
    """Of each unit: ``⟨x, g⟩``, ``‖x‖²``, ``‖g‖²`` and the number of its parameters."""

    product: Scores
    weights: Scores
    gradients: Scores
    entries: Scores


def moments(groups: Groups, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> Moments:
    """Sums over the parameters of each unit; ``gradients`` by name, parameters without one count as zero."""
    own = {
        w.name: weights[w.name].detach().double()
        for w in groups.graph.weights
        if w.kind == "parameter" and weights[w.name].is_floating_point()
    }
    slopes = {
        name: gradients[name].detach().double() if name in gradients else torch.zeros_like(value)
        for name, value in own.items()
    }
    return Moments(
        sums_of_units(groups, {name: value * slopes[name] for name, value in own.items()}),
        sums_of_units(groups, {name: value.square() for name, value in own.items()}),
        sums_of_units(groups, {name: value.square() for name, value in slopes.items()}),
        sums_of_units(groups, {name: torch.ones_like(value) for name, value in own.items()}),
    )


def plain_magnitude(found: Moments) -> Scores:
    """``‖x‖``."""
    return {index: square.sqrt() for index, square in found.weights.items()}


def average_magnitude(found: Moments) -> Scores:
    """``‖x‖ / √parameters``."""
    return {index: (square / found.entries[index]).sqrt() for index, square in found.weights.items()}


def cosine(found: Moments, *, agreeing_goes: bool = True) -> Scores:
    """``1 - cos(x, g)``: a unit that the next step shrinks goes first.

    ``agreeing_goes=False`` is ``1 + cos(x, g)``, the opposite order, which released code of HESSO has.
    """
    sign = -1.0 if agreeing_goes else 1.0
    return {
        index: 1 + sign * product / (found.weights[index] * found.gradients[index]).sqrt().clamp_min(TINY)
        for index, product in found.product.items()
    }


def taylor(found: Moments) -> Scores:
    """``|⟨x, g⟩|``: how much the loss changes to first order when the unit is zeroed."""
    return {index: product.abs() for index, product in found.product.items()}


def taylor_squared(found: Moments) -> Scores:
    """``½ ⟨x, g⟩²``."""
    return {index: product.square() / 2 for index, product in found.product.items()}


SCORES: dict[str, Callable[[Moments], Scores]] = {
    "magnitude": plain_magnitude,
    "average_magnitude": average_magnitude,
    "cosine": cosine,
    "taylor": taylor,
    "taylor_squared": taylor_squared,
}
"""The five criteria of HESSO, by name."""


def combined(found: Moments, shares: Mapping[str, float] | None = None) -> Scores:
    """The weighted sum of criteria, each divided by its L2 norm over all units; equal shares by default.

    Raises:
        ConvertError: a criterion that does not exist.
    """
    chosen = shares or {name: 1 / len(SCORES) for name in SCORES}
    if unknown := sorted(set(chosen) - set(SCORES)):
        raise ConvertError(f"unknown criterion {unknown[0]!r}; choices: {', '.join(SCORES)}")
    total: Scores = {index: torch.zeros_like(value) for index, value in found.product.items()}
    for name, share in chosen.items():
        values = SCORES[name](found)
        norm = torch.cat(list(values.values())).norm().clamp_min(TINY)
        for index, value in values.items():
            total[index] += share * value / norm
    return total


def gradients_of(
    parameters: Mapping[str, Tensor], losses: Iterable[Callable[[], Tensor]]
) -> dict[str, Tensor]:
    """Mean gradients over batches; each of ``losses`` computes that of one, and nothing is left in ``parameters``."""
    found: dict[str, Tensor] = {}
    count = 0
    names = [name for name, tensor in parameters.items() if tensor.requires_grad]
    for loss in losses:
        count += 1
        with torch.enable_grad():
            slopes = torch.autograd.grad(loss(), [parameters[name] for name in names], allow_unused=True)
        for name, slope in zip(names, slopes, strict=True):
            if slope is not None:
                found[name] = found[name] + slope if name in found else slope.clone()
    return {name: value / max(1, count) for name, value in found.items()}
