"""Axes of channels: what may be removed together, in interchangeable units. No torch.

Two classes of slots form units of one axis where they occur equally often along every axis of every weight: then
either can be kept in place of the other, and an axis is the number of units that are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from supernets.traced.follow import Followed
from supernets.traced.graph import Graph, Weight
from supernets.traced.slots import Classes, Fault, Labels


@dataclass(frozen=True)
class Group:
    """An axis. ``units`` are its classes, in the order of the original; ``modules`` have weights with its channels.

    ``channels`` is what one unit takes of the first of these weights (a head of 16 channels: 16).
    """

    name: str
    units: NDArray[np.int64]
    modules: tuple[str, ...]
    exact: bool
    channels: int
    entries: int


@dataclass(frozen=True, slots=True)
class Frozen:
    """Output channels of a module that stay: all of them or ``count``, and why."""

    module: str
    reason: str
    count: int
    of: int
    line: str = ""


@dataclass(frozen=True)
class Groups:
    """All axes of a graph, and what stays."""

    graph: Graph
    followed: Followed
    classes: Classes
    groups: tuple[Group, ...]

    @cached_property
    def removable(self) -> float:
        """Share of the entries of weights that could go: every axis at one unit."""
        return 1 - self._left()

    @cached_property
    def reached(self) -> float:
        """Share of the axes of weights whose channels may go, each axis with as much weight as it has entries."""
        free = np.zeros(self.classes.n, dtype=bool)
        for group in self.groups:
            free[group.units] = True
        total = sum(float(np.prod(weight.shape)) * len(weight.shape) for weight in parameters(self.graph))
        found = sum(
            float(np.prod(weight.shape)) * float(free[self.classes.of[labels]].mean())
            for weight, _, labels in channel_axes(self.graph, self.followed)
            if weight.kind == "parameter"
        )
        return found / max(1.0, total)

    def _left(self) -> float:
        """Share of the entries of weights that are left with one unit of each axis."""
        kept = np.ones(self.classes.n, dtype=bool)
        for group in self.groups:
            kept[group.units[1:]] = False
        left = {weight.name: float(np.prod(weight.shape)) for weight in parameters(self.graph)}
        total = sum(left.values())
        for weight, _, labels in channel_axes(self.graph, self.followed):
            if weight.name in left:
                left[weight.name] *= float(kept[self.classes.of[labels]].mean())
        return sum(left.values()) / max(1.0, total)

    def frozen(self) -> tuple[Frozen, ...]:
        """Weights whose channels stay, with the reason, in the order of the network."""
        used = np.zeros(self.classes.n, dtype=bool)
        for group in self.groups:
            used[group.units] = True
        found = []
        for weight, axis, labels in channel_axes(self.graph, self.followed):
            made = self.followed.outputs.get(weight.name, 0 if len(weight.shape) > 1 else -1)
            if made != axis or weight.kind != "parameter":
                continue
            own = self.classes.of[labels]
            stays = ~used[own]
            if not stays.any():
                continue
            faults = self.classes.fault[own][stays]
            known = faults[faults >= 0]
            fault = self.classes.faults[known.min()] if len(known) else Fault("all its channels go together")
            where = f" ({fault.where} in {fault.module or 'the network'})" if fault.where else ""
            found.append(
                Frozen(module_of(weight.key), fault.reason + where, int(stays.sum()), len(labels), fault.line)
            )
        return tuple(found)


def find(graph: Graph, followed: Followed) -> Groups:
    """The axes of a graph whose channels were followed; in time linear in the number of channels.

    A class that occurs along one axis of one weight only is not offered: nothing makes it, or nothing reads it.
    """
    classes = followed.slots.classes()
    places = list(channel_axes(graph, followed))
    rng = np.random.default_rng(0)
    signature = np.zeros((classes.n, 2), dtype=np.uint64)
    entries, occurs = np.zeros(classes.n), np.zeros(classes.n, dtype=np.int64)
    members: list[list[int]] = [[] for _ in range(classes.n)]
    for place, (weight, axis, labels) in enumerate(places):
        own, counts = np.unique(classes.of[labels], return_counts=True)
        signature[own] += counts[:, None].astype(np.uint64) * rng.integers(1, 2**63, size=2, dtype=np.uint64)
        if weight.kind == "parameter":
            entries[own] += counts * (np.prod(weight.shape, dtype=np.float64) / weight.shape[axis])
            occurs[own] += 1
        for cls in own.tolist():
            members[cls].append(place)
    units_of: dict[tuple[int, int, bool], list[int]] = {}
    for cls in np.flatnonzero((classes.fault < 0) & (occurs > 1)).tolist():
        key = (int(signature[cls, 0]), int(signature[cls, 1]), bool(classes.approximate[cls]))
        units_of.setdefault(key, []).append(cls)
    groups: list[Group] = []
    taken: dict[str, int] = {}
    for (_, _, approximate), found in sorted(
        units_of.items(), key=lambda item: (members[item[1][0]][0], item[1])
    ):
        if len(found) < 2:
            continue
        held = [places[place] for place in members[found[0]]]
        lead = next((each for each in held if followed.outputs.get(each[0].name) == each[1]), held[0])
        units = _ordered(np.array(found), classes.of[lead[2]])
        modules = tuple(dict.fromkeys(module_of(weight.key) for weight, _, _ in held))
        channels = int((classes.of[lead[2]] == units[0]).sum())
        name = _named(module_of(lead[0].key), taken)
        groups.append(Group(name, units, modules, not approximate, channels, int(entries[units].sum())))
    return Groups(graph, followed, classes, tuple(groups))


def parameters(graph: Graph) -> list[Weight]:
    """The weights that are parameters."""
    return [weight for weight in graph.weights if weight.kind == "parameter"]


def channel_axes(graph: Graph, followed: Followed) -> Iterator[tuple[Weight, int, Labels]]:
    """Every followed axis of every weight: weight, axis, labels."""
    for weight in graph.weights:
        for axis, labels in enumerate(followed.values[weight.name][0].labels):
            if labels is not None:
                yield weight, axis, labels


def module_of(key: str) -> str:
    """The module that holds a weight."""
    return key.rpartition(".")[0] or key


def _ordered(units: NDArray[np.int64], own: NDArray[np.int64]) -> NDArray[np.int64]:
    """Units by their first entry in a weight."""
    values, positions = np.unique(own, return_index=True)
    where = dict(zip(values.tolist(), positions.tolist(), strict=True))
    return np.array(sorted(units.tolist(), key=lambda cls: where.get(cls, len(own))), dtype=np.int64)


def _named(module: str, taken: dict[str, int]) -> str:
    """A unique name; the second axis of a module is called ``module/2``."""
    taken[module] = taken.get(module, 0) + 1
    return module if taken[module] == 1 else f"{module}/{taken[module]}"
