"""Which units of a traced network come first, and which have become zero."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from supernets.spaces.space import Space
from supernets.traced.cut import Index
from supernets.traced.graph import Weight
from supernets.traced.groups import parameters
from supernets.traced.importance import Readers, magnitude, sums_of_units

if TYPE_CHECKING:
    from supernets.families.converted.traced_space import TracedFamily


class OrderedNet(Protocol):
    """A network whose units have an order: what this file needs of it."""

    @property
    def family(self) -> TracedFamily:
        """Its graph and axes."""

    def weight(self, weight: Weight) -> Tensor:
        """The values of a weight of the graph."""

    def unit_order(self, index: int) -> Tensor:
        """The units of an axis, the ones that are kept longest first."""


def sorted_within(net: OrderedNet, region: Space) -> dict[int, Tensor]:
    """New orders: between the widths of ``region`` by the sum of the absolute weights that read a unit."""
    family = net.family
    absolute = {weight.name: net.weight(weight).abs() for weight in parameters(family.graph)}
    scores = Readers(family.groups).sums(absolute)
    found = {}
    for index, name in family.offered.items():
        kept = list(family.settings.kept(family.groups.groups[index]).values())
        edges = sorted({0, *(kept[choice] for choice in region.allowed[region.column(name)]), kept[-1]})
        order = net.unit_order(index).cpu()
        own = scores[index][order]
        parts = [
            order[first:last][torch.argsort(own[first:last], descending=True, stable=True)]
            for first, last in pairwise(edges)
        ]
        found[index] = torch.cat(parts)
    return found


def by_magnitude(net: OrderedNet) -> dict[int, Tensor]:
    """Orders of all axes, the units with the largest parameters first."""
    scores = magnitude(net.family.groups, {w.name: net.weight(w) for w in net.family.graph.weights})
    return {index: torch.argsort(scores[index], descending=True, stable=True) for index in net.family.offered}


def without_zero_units(net: OrderedNet) -> NDArray[np.bool_]:
    """For each class of channels whether it stays: all but units whose entries are all zero; an axis keeps one."""
    groups = net.family.groups
    sizes = sums_of_units(groups, {w.name: net.weight(w).abs() for w in parameters(groups.graph)})
    kept = np.ones(groups.classes.n, dtype=bool)
    for index in net.family.offered:
        alive = (sizes[index] > 0).numpy()
        alive[0] |= not alive.any()
        kept[groups.groups[index].units] = alive
    return kept


def picked(tensor: Tensor, indices: Sequence[Index | None]) -> Tensor:
    """The entries of a tensor with these indices along each axis, all where there are none."""
    for axis, index in enumerate(indices):
        if index is not None:
            tensor = tensor.index_select(axis, torch.from_numpy(index).to(tensor.device))
    return tensor
