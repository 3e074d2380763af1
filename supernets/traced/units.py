"""Units of a traced network that a training may remove: their entries among the parameters, and what is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from supernets.spaces.cost import costs
from supernets.spaces.space import Population
from supernets.traced.groups import channel_axes
from supernets.traced.importance import Place, making

if TYPE_CHECKING:
    from supernets.families.converted.traced_space import TracedFamily


class TracedUnits:
    """See :class:`supernets.recipes.parts.Units`; all units of all offered axes in one list."""

    def __init__(self, family: TracedFamily, prefix: str) -> None:
        self._family = family
        groups = family.groups
        self.indices = tuple(family.offered)
        """The group of each axis."""
        self.sizes = tuple(len(groups.groups[index].units) for index in self.indices)
        self.steps = tuple(family.settings.step(groups.groups[index]) for index in self.indices)
        unit = np.full(groups.classes.n, sum(self.sizes), dtype=np.int64)
        unit[np.concatenate([groups.groups[index].units for index in self.indices])] = np.arange(
            sum(self.sizes)
        )
        every = [p for p in channel_axes(groups.graph, groups.followed) if p[0].kind == "parameter"]
        self._makes = self._places(making(groups), unit, prefix)
        self._holds = self._places(every, unit, prefix)

    def _places(
        self, places: Sequence[Place], unit: np.ndarray, prefix: str
    ) -> list[tuple[str, int, int, Tensor]]:
        found = []
        for weight, axis, labels in places:
            parts = self._family.groups.classes.parts_of(labels)
            own = np.where(parts >= 0, unit[parts], sum(self.sizes))
            if (own < sum(self.sizes)).any():
                found.append((prefix + weight.key, axis, len(weight.shape), torch.from_numpy(own)))
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """Parameters that hold units."""
        return tuple(dict.fromkeys(name for name, *_ in self._holds))

    def sums(self, entries: Mapping[str, Tensor]) -> Tensor:
        """Sums over the entries that make each unit, ``(units,) float64``."""
        total = torch.zeros(sum(self.sizes) + 1, dtype=torch.float64)
        for name, axis, ndim, own in self._makes:
            others = [d for d in range(ndim) if d != axis]
            value = entries[name].detach().double().cpu()
            value = value.sum(others) if others else value
            for part in own.unbind(1):
                total.index_add_(0, part, value)
        return total[:-1]

    def factors(self, values: Tensor, *, reading: bool = False) -> dict[str, Tensor]:
        """For each parameter the value of the unit that an entry makes, one elsewhere, in a shape that broadcasts.

        ``reading``: entries that read a unit have its value too. Where units of two axes meet, as a head and a place
        within it, the product.
        """
        padded = torch.cat([values, values.new_ones(1)])
        found: dict[str, Tensor] = {}
        for name, axis, ndim, own in self._holds if reading else self._makes:
            shape = [1] * ndim
            shape[axis] = -1
            factor = padded[own].prod(1).reshape(shape)
            found[name] = found[name] * factor if name in found else factor
        return found

    def cost(self, metric: str, kept: Sequence[int]) -> float:
        """A metric in closed form with this many units of each axis, depths at their largest."""
        found = {index: len(group.units) for index, group in enumerate(self._family.groups.groups)}
        found |= dict(zip(self.indices, kept, strict=True))
        return costs(row.at(found) for row in self._family.rows)[metric]

    def between(self, kept: Sequence[int]) -> tuple[Population, NDArray[np.float64]]:
        """Archs ``(n, d)`` between which this many units of each axis lie, and their weights ``(n,)``, sum 1.

        They are the corners of the simplex of Kuhn's triangulation: a function is interpolated linearly in it, exact
        at archs of the space. Fewer units than the smallest width count as that; depths are at their largest.
        """
        space = self._family.space()
        row = space.encode([space.max()])[0]
        parts: list[tuple[float, int]] = []
        for index, units in zip(self.indices, kept, strict=True):
            column = space.column(self._family.offered[index])
            choices = list(self._family.settings.kept(self._family.groups.groups[index]).values())
            place = float(np.interp(units, choices, np.arange(len(choices))))
            row[column] = int(place)
            if place > int(place):
                parts.append((place - int(place), column))
        parts.sort(reverse=True)
        archs = np.repeat(row[None], len(parts) + 1, axis=0)
        for number, (_, column) in enumerate(parts, start=1):
            archs[number:, column] += 1
        ends = np.array([1.0, *(share for share, _ in parts), 0.0])
        return archs, ends[:-1] - ends[1:]
