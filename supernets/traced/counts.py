"""How many channels an arch keeps at each place, as a sum of products of axes. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from supernets.traced.graph import sized
from supernets.traced.groups import Groups
from supernets.traced.slots import Labels


@dataclass(frozen=True)
class Amount:
    """``fixed`` channels that stay, and for each axis the number of channels per unit.

    Channels that have parts of several axes (heads, and places within each) count per unit of each of them.
    """

    fixed: int
    per_unit: Mapping[tuple[int, ...], int] = field(default_factory=dict)

    def at(self, units: Mapping[int, int]) -> int:
        """The number of channels for these units of each axis; raises ``KeyError`` for a missing one."""
        return self.fixed + sum(
            count * math.prod(units[axis] for axis in axes) for axes, count in self.per_unit.items()
        )

    @property
    def axes(self) -> set[int]:
        """Indices of the axes that it depends on."""
        return {axis for axes in self.per_unit for axis in axes}

    def part(self, axes: tuple[int, ...]) -> Amount:
        """The channels of these axes."""
        return Amount(0, {axes: self.per_unit[axes]})


class Counts:
    """Amounts of the axes of all values of a graph."""

    def __init__(self, groups: Groups) -> None:
        self._groups = groups
        self._axis_of = np.full(groups.classes.n, -1, dtype=np.int64)
        for index, group in enumerate(groups.groups):
            self._axis_of[group.units] = index

    def of(self, name: str, axis: int, output: int = 0) -> Amount:
        """The size of an axis of a value, for one example."""
        value = self._groups.followed.values[name][output]
        axis %= value.ndim
        labels = value.labels[axis]
        return Amount(sized(value.shape[axis])) if labels is None else self.of_labels(labels)

    def of_labels(self, labels: Labels) -> Amount:
        """The number of kept entries of an axis with these labels."""
        parts = self._groups.classes.parts_of(labels)
        own = np.sort(np.where(parts >= 0, self._axis_of[parts], -1), axis=1)
        fixed = 0
        per: dict[tuple[int, ...], int] = {}
        for row, count in zip(*np.unique(own, axis=0, return_counts=True), strict=True):
            axes = tuple(int(axis) for axis in row if axis >= 0)
            if axes:
                per[axes] = int(count) // math.prod(len(self._groups.groups[axis].units) for axis in axes)
            else:
                fixed = int(count)
        return Amount(fixed, per)

    def sizes(self, name: str, output: int = 0) -> list[Amount]:
        """All axes of a value."""
        value = self._groups.followed.values[name][output]
        return [self.of(name, axis, output) for axis in range(value.ndim)]
