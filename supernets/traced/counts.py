"""How many channels an arch keeps at each place, as a sum over axes. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from supernets.traced.graph import sized
from supernets.traced.groups import Groups
from supernets.traced.slots import Labels


@dataclass(frozen=True)
class Amount:
    """``fixed`` channels that stay, and for each axis the number of channels per unit."""

    fixed: int
    per_unit: Mapping[int, int] = field(default_factory=dict)

    def at(self, units: Mapping[int, int]) -> int:
        """The number of channels for these units of each axis; raises ``KeyError`` for a missing one."""
        return self.fixed + sum(count * units[axis] for axis, count in self.per_unit.items())

    def part(self, axis: int) -> Amount:
        """The channels of one axis."""
        return Amount(0, {axis: self.per_unit[axis]})


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
        own = self._axis_of[self._groups.classes.of[labels]]
        axes, counts = np.unique(own, return_counts=True)
        per = {
            int(axis): int(count) // len(self._groups.groups[axis].units)
            for axis, count in zip(axes, counts, strict=True)
            if axis >= 0
        }
        return Amount(int((own < 0).sum()), per)

    def sizes(self, name: str, output: int = 0) -> list[Amount]:
        """All axes of a value."""
        value = self._groups.followed.values[name][output]
        return [self.of(name, axis, output) for axis in range(value.ndim)]
