"""Axes of channels: what may be removed together, in interchangeable units. No torch.

Two classes of slots form units of one axis where they occur equally often along every axis of every weight: then
either can be kept in place of the other, and an axis is the number of units that are kept. A channel of a split axis
is a part of two axes (heads, and the places within each), each with units of one split only; every unit of one meets
every unit of the other equally often, or the second is no axis.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from supernets.traced.follow import Followed
from supernets.traced.graph import Graph, Weight
from supernets.traced.slots import Classes, Fault, Labels


@dataclass(frozen=True)
class Group:
    """An axis. ``units`` are its classes, in the order of the original; ``modules`` have weights with its channels.

    ``channels`` is what one unit takes of the first of these weights (a head of 16 channels: 16). ``parts``: a unit
    has a channel in each of this many parts of that weight (a place within each of 4 heads: 4), 1 where it is one part.
    """

    name: str
    units: NDArray[np.int64]
    modules: tuple[str, ...]
    exact: bool
    channels: int
    entries: int
    parts: int = 1


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
        free = self._free()
        total = sum(float(np.prod(weight.shape)) * len(weight.shape) for weight in parameters(self.graph))
        found = sum(
            float(np.prod(weight.shape)) * float(free[self.classes.of[labels]].mean())
            for weight, _, labels in channel_axes(self.graph, self.followed)
            if weight.kind == "parameter"
        )
        return found / max(1.0, total)

    def _free(self) -> NDArray[np.bool_]:
        """Classes that may go, with one of their parts at least."""
        stays = np.ones(self.classes.n, dtype=bool)
        for group in self.groups:
            stays[group.units] = False
        return ~self.classes.spread(stays)

    def _left(self) -> float:
        """Share of the entries of weights that are left with one unit of each axis."""
        kept = np.ones(self.classes.n, dtype=bool)
        for group in self.groups:
            kept[group.units[1:]] = False
        kept = self.classes.spread(kept)
        left = {weight.name: float(np.prod(weight.shape)) for weight in parameters(self.graph)}
        total = sum(left.values())
        for weight, _, labels in channel_axes(self.graph, self.followed):
            if weight.name in left:
                left[weight.name] *= float(kept[self.classes.of[labels]].mean())
        return sum(left.values()) / max(1.0, total)

    def whole(self, group: Group) -> str:
        """Why the channels of a unit go together (a head whole), where the last axis that they are split into stays."""
        for split in self.followed.slots.splits if group.channels > group.parts else ():
            own = np.isin(self.classes.parts_of(split.entries), group.units).any(axis=1)
            faults = self.classes.fault[self.classes.of[split.parts[-1][own]]]
            if (faults >= 0).any():
                return _words(self.classes.faults[faults[faults >= 0].min()])
        return ""

    def frozen(self) -> tuple[Frozen, ...]:
        """Weights whose channels stay, with the reason, in the order of the network."""
        used = self._free()
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
            found.append(
                Frozen(module_of(weight.key), _words(fault), int(stays.sum()), len(labels), fault.line)
            )
        return tuple(found)


def _words(fault: Fault) -> str:
    """The reason, with the operator."""
    return fault.reason + (f" ({fault.where} in {fault.module or 'the network'})" if fault.where else "")


def find(graph: Graph, followed: Followed) -> Groups:
    """The axes of a graph whose channels were followed; in time linear in the number of channels.

    A class that occurs along one axis of one weight only is not offered: nothing makes it, or nothing reads it.
    """
    classes = followed.slots.classes()
    places = [(weight, axis, classes.parts_of(own)) for weight, axis, own in channel_axes(graph, followed)]
    rng = np.random.default_rng(0)
    signature = np.zeros((classes.n, 2), dtype=np.uint64)
    entries, occurs = np.zeros(classes.n), classes.read.astype(np.int64)
    members: list[list[int]] = [[] for _ in range(classes.n)]
    for place, (weight, axis, parts) in enumerate(places):
        own, counts = np.unique(parts[parts >= 0], return_counts=True)
        signature[own] += counts[:, None].astype(np.uint64) * rng.integers(1, 2**63, size=2, dtype=np.uint64)
        if weight.kind == "parameter":
            entries[own] += counts * (np.prod(weight.shape, dtype=np.float64) / weight.shape[axis])
            occurs[own] += 1
        for cls in own.tolist():
            members[cls].append(place)
    whole = classes.parts[:, 0] == np.arange(classes.n)
    split = _split_axes(followed, classes)
    units_of: dict[tuple[int, int, bool, int], list[int]] = {}
    for cls in np.flatnonzero((classes.fault < 0) & (occurs > 1) & whole).tolist():
        key = (
            int(signature[cls, 0]),
            int(signature[cls, 1]),
            bool(classes.approximate[cls]),
            int(split[cls]),
        )
        units_of.setdefault(key, []).append(cls)
    groups: list[Group] = []
    taken: dict[str, int] = {}
    for (_, _, approximate, _), found in sorted(
        units_of.items(), key=lambda item: (members[item[1][0]][0], item[1])
    ):
        if len(found) < 2:
            continue
        held = [places[place] for place in members[found[0]]]
        lead = next((each for each in held if followed.outputs.get(each[0].name) == each[1]), held[0])
        units = _ordered(np.array(found), lead[2])
        modules = tuple(dict.fromkeys(module_of(weight.key) for weight, _, _ in held))
        at = np.flatnonzero((lead[2] == units[0]).any(axis=1))
        apart = followed.places and len(at) > 1 and not (np.diff(at) == 1).any()
        name = _named(module_of(lead[0].key), taken)
        count = int(entries[units].sum())
        groups.append(Group(name, units, modules, not approximate, len(at), count, len(at) if apart else 1))
    return Groups(
        graph, followed, classes, tuple(_blocks(groups, classes, [parts for _, _, parts in places]))
    )


def _split_axes(followed: Followed, classes: Classes) -> NDArray[np.int64]:
    """For each class the number of the axis of a split that it belongs to, -1 for classes of none."""
    found = np.full(classes.n, -1, dtype=np.int64)
    axes = [classes.of[part] for split in followed.slots.splits if split.made for part in split.parts]
    if not axes:
        return found
    left = np.concatenate([np.full(len(part), part[0]) for part in axes])
    right = np.concatenate(axes)
    edges = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(classes.n, classes.n))
    _, number = connected_components(edges, directed=False)
    found[right] = number[right]
    return found


def _blocks(groups: list[Group], classes: Classes, places: list[NDArray[np.int64]]) -> list[Group]:
    """The groups whose units meet those of every other one equally often, so that what is kept is a block."""
    if classes.parts.shape[1] == 1:
        return groups
    while True:
        of = np.full(classes.n, -1, dtype=np.int64)
        for index, group in enumerate(groups):
            of[group.units] = index
        bad = max((_uneven(parts, of, groups) for parts in places), default=-1)
        if bad < 0:
            return groups
        groups = groups[:bad] + groups[bad + 1 :]


def _uneven(parts: NDArray[np.int64], of: NDArray[np.int64], groups: list[Group]) -> int:
    """A group that does not meet another one evenly along an axis of a weight, by its number; -1 where all do."""
    axes = np.where(parts >= 0, of[parts], -1)
    order = np.argsort(-axes, axis=1, kind="stable")
    axes, parts = np.take_along_axis(axes, order, axis=1), np.take_along_axis(parts, order, axis=1)
    for row in np.unique(axes, axis=0):
        held = row[row >= 0]
        if not len(held):
            continue
        own = parts[(axes == row).all(axis=1)][:, : len(held)]
        met, counts = np.unique(own, axis=0, return_counts=True)
        wanted = np.prod([len(groups[index].units) for index in held])
        if len(set(held.tolist())) < len(held) or len(met) != wanted or (counts != counts[0]).any():
            return int(held.max())
    return -1


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


def unit_of(classes: Classes, labels: Labels, units: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each entry the one of ``units`` that it is a part of, else its class."""
    parts = classes.parts_of(labels)
    entry, column = np.nonzero(np.isin(parts, units))
    found = classes.of[labels].copy()
    found[entry] = parts[entry, column]
    return found


def _ordered(units: NDArray[np.int64], parts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Units by their first entry in a weight."""
    values, positions = np.unique(parts.reshape(-1), return_index=True)
    where = dict(zip(values.tolist(), positions.tolist(), strict=True))
    return np.array(sorted(units.tolist(), key=lambda cls: where.get(cls, parts.size)), dtype=np.int64)


def _named(module: str, taken: dict[str, int]) -> str:
    """A unique name; the second axis of a module is called ``module/2``."""
    taken[module] = taken.get(module, 0) + 1
    return module if taken[module] == 1 else f"{module}/{taken[module]}"
