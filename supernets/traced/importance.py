"""How important each unit of an axis is: what a subnet keeps first.

The scores of HESSO (methods of Chen et al., 2024) need gradients of a loss; magnitude needs none. ``x`` are all
parameters of a unit together, ``g`` their gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch
from torch import Tensor

from supernets.elastic.criteria import TINY, UnitSums
from supernets.traced.graph import Weight
from supernets.traced.groups import Groups, channel_axes
from supernets.traced.slots import Labels

Scores = dict[int, Tensor]
"""Group to the importance of its units, ``(units,) float64``; higher is kept longer."""


Place = tuple[Weight, int, Labels]
"""A weight, one of its axes, and the slots along it."""


def reading(groups: Groups) -> list[Place]:
    """Axes of parameters that read channels: without them the channels would have no effect."""
    return [place for place in _parameters(groups) if not _makes(groups, place)]


def making(groups: Groups) -> list[Place]:
    """Axes of parameters that make channels: weights of layers, biases, scales of norms and what is added."""
    return [place for place in _parameters(groups) if _makes(groups, place)]


def _parameters(groups: Groups) -> list[Place]:
    return [p for p in channel_axes(groups.graph, groups.followed) if p[0].kind == "parameter"]


def _makes(groups: Groups, place: Place) -> bool:
    weight, axis, _ = place
    return groups.followed.outputs.get(weight.name, axis) == axis


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
        parts = groups.classes.parts_of(labels)
        entry, column = np.nonzero(parts >= 0)
        np.add.at(per_class, parts[entry, column], along[entry])
    return {index: torch.from_numpy(per_class[group.units]) for index, group in enumerate(groups.groups)}


class Readers:
    """The parameters that read each unit.

    Places of queries and keys are read by no parameter, but by a product of both: they have those that make them.
    """

    def __init__(self, groups: Groups) -> None:
        self._groups, self._read, made = groups, reading(groups), making(groups)
        seen = np.zeros(groups.classes.n, dtype=bool)
        for _, _, labels in self._read:
            parts = groups.classes.parts_of(labels)
            seen[parts[parts >= 0]] = True
        self._unread = {i for i, group in enumerate(groups.groups) if not seen[group.units].any()}
        self._made = made if self._unread else []

    @property
    def names(self) -> set[str]:
        """Weights that hold them."""
        return {weight.name for weight, _, _ in (*self._read, *self._made)}

    def sums(self, entries: Mapping[str, Tensor]) -> Scores:
        """Sums of ``entries``; of those that make a unit the half, because both sides of a product count."""
        found = sums_of_units(self._groups, entries, self._read)
        if self._unread:
            made = sums_of_units(self._groups, entries, self._made)
            found |= {index: made[index] / 2 for index in self._unread}
        return found


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


def unit_sums(groups: Groups, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> UnitSums:
    """Sums over all parameters of each unit, the units of all groups in one list.

    ``gradients`` are by name; parameters without one count as zero.
    """
    own = {
        w.name: weights[w.name].detach().double()
        for w in groups.graph.weights
        if w.kind == "parameter" and weights[w.name].is_floating_point()
    }
    slopes = {
        name: gradients[name].detach().double() if name in gradients else torch.zeros_like(value)
        for name, value in own.items()
    }
    entries = (
        {name: value * slopes[name] for name, value in own.items()},
        {name: value.square() for name, value in own.items()},
        {name: value.square() for name, value in slopes.items()},
        {name: torch.ones_like(value) for name, value in own.items()},
    )
    return UnitSums(*(torch.cat([*sums_of_units(groups, each).values()]) for each in entries))


def by_group(groups: Groups, values: Tensor) -> Scores:
    """Values of the units of all groups ``(units,)``, by group."""
    sizes = [len(group.units) for group in groups.groups]
    return dict(enumerate(torch.split(values, sizes)))


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
