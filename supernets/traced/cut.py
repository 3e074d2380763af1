"""A graph with fewer channels: the same operators with other sizes. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from supernets.traced.follow import Val
from supernets.traced.graph import Arg, Graph, Node, Output, Ref, Shape, multiple
from supernets.traced.groups import Groups
from supernets.traced.slots import Labels

Index = NDArray[np.int64]
Slots = NDArray[np.bool_] | NDArray[np.int64]
"""Whether each slot stays, or how often it occurs."""


@dataclass(frozen=True)
class Cut:
    """A smaller network.

    Attributes:
        graph: its operators; weights have their smaller shapes.
        indices: weight to the kept entries along each axis, None where all are.
    """

    graph: Graph
    indices: Mapping[str, tuple[Index | None, ...]]


class Cutter:
    """Cuts one graph; ``kept`` of :meth:`cut` is True for each class that stays, or how often it then occurs."""

    def __init__(self, groups: Groups) -> None:
        self._graph, self._followed = groups.graph, groups.followed
        self._classes = groups.classes
        self._names = {weight.name: weight for weight in self._graph.weights}

    def cut(
        self, kept: NDArray[np.bool_] | NDArray[np.int64], skipped: Mapping[str, str] | None = None
    ) -> Cut:
        """The network with these classes; ``skipped`` operators pass the value named on in place of their own."""
        slots = self._classes.spread(kept)[self._classes.of]
        owners = self._owners(kept)
        nodes: list[Node] = []
        for node in self._graph.nodes:
            nodes += self._padded_inputs(node, slots)
            nodes += self._averaged(node, self._node(node, slots), slots)
            nodes += self._unpadded(node, slots)
        if skipped:
            nodes = _without(nodes, self._graph.output_names(), skipped)
        indices = {
            weight.name: tuple(
                self._index(labels, slots, owners) for labels in self._followed.values[weight.name][0].labels
            )
            for weight in self._graph.weights
        }
        weights = tuple(
            replace(
                weight,
                shape=tuple(
                    size if index is None else len(index)
                    for size, index in zip(weight.shape, indices[weight.name], strict=True)
                ),
            )
            for weight in self._graph.weights
        )
        return Cut(replace(self._graph, weights=weights, nodes=tuple(nodes)), indices)

    def _owners(self, kept: Slots) -> Index:
        """For each slot the class that decides how often it occurs: its part that occurs several times, if any."""
        found = np.arange(self._classes.n)
        if len(kept) and kept.max() > 1:
            several = (self._classes.parts >= 0) & (kept[self._classes.parts] > 1)
            rows, columns = np.nonzero(several)
            found[rows] = self._classes.parts[rows, columns]
        return found[self._classes.of]

    def _index(self, labels: Labels | None, slots: Slots, owners: Index | None = None) -> Index | None:
        if labels is None:
            return None
        own = slots[labels]
        if (own == 1).all():
            return None
        if owners is None or own.max() <= 1:
            return np.flatnonzero(own)
        return _repeated(owners[labels], own.astype(np.int64))

    def _node(self, node: Node, slots: Slots) -> Node:
        args = {**node.args, **self._followed.stated.get(node.name, {})}
        values = self._followed.values[node.name]
        if values and values[0].padded:
            args = {name: self._renamed(value) for name, value in args.items()}
            return replace(node, name=_inside(node.name), args=args)
        for rewrite in self._followed.rewrites.get(node.name, ()):
            name, index = rewrite.path
            count = -1 if rewrite.labels is None else int(slots[rewrite.labels].sum())
            old = args.get(name)
            if index is not None and isinstance(old, list):
                args[name] = [count if k == index else each for k, each in enumerate(old)]
            else:
                args[name] = count
        outputs = tuple(
            Output(_cut_shape(output.shape, value, slots), output.dtype)
            for output, value in zip(node.outputs, values, strict=True)
        )
        return replace(node, args=args, outputs=outputs)

    def _averaged(self, node: Node, smaller: Node, slots: Slots) -> list[Node]:
        """A mean that divides by the number of all channels, removed ones too."""
        share = 1.0
        for labels in self._followed.averages.get(node.name, ()):
            share *= float(slots[labels].mean())
        if share == 1.0:
            return [smaller]
        inner = f"{node.name}.mean"
        scale = Node(
            node.name,
            "aten.mul.Tensor",
            {"self": Ref(inner), "other": share},
            smaller.outputs,
            node.module,
            node.line,
        )
        return [replace(smaller, name=inner), scale]

    # --- what is computed from complete weights --------------------------------------------------------

    def _renamed(self, value: Arg) -> Arg:
        if isinstance(value, Ref):
            return Ref(_inside(value.name))
        return [self._renamed(each) for each in value] if isinstance(value, list) else value

    def _padded_inputs(self, node: Node, slots: Slots) -> list[Node]:
        """Complete forms of the weights that a padded operator reads, zero where channels were removed."""
        values = self._followed.values[node.name]
        if not values or not values[0].padded:
            return []
        found: list[Node] = []
        for name in self._made_inside(node):
            if name in self._names:
                found += self._filled(name, slots)
            else:
                inner = next(each for each in self._graph.nodes if each.name == name)
                args = {key: self._renamed(value) for key, value in inner.args.items()}
                found.append(replace(inner, name=_inside(name), args=args))
        return found

    def _made_inside(self, node: Node) -> list[str]:
        """Names that this operator is the first padded one to need, in the order in which they are made."""
        return self._first_needs.get(node.name, [])

    @cached_property
    def _first_needs(self) -> dict[str, list[str]]:
        by_name = {node.name: node for node in self._graph.nodes}
        made: set[str] = set()
        found: dict[str, list[str]] = {}

        def need(name: str, into: list[str]) -> None:
            if name in made:
                return
            made.add(name)
            if name in by_name:
                for read in by_name[name].refs():
                    need(read, into)
            into.append(name)

        for node in self._graph.nodes:
            values = self._followed.values[node.name]
            if values and values[0].padded:
                for name in node.refs():
                    need(name, found.setdefault(node.name, []))
                made.add(node.name)
        return found

    def _filled(self, name: str, slots: Slots) -> list[Node]:
        """``cat`` one row of zeros behind the kept ones, then pick that row for every removed channel."""
        value, weight = self._followed.values[name][0], self._names[name]
        shape = list(_cut_shape(weight.shape, value, slots))
        current, found = name, []
        for axis, labels in enumerate(value.labels):
            if labels is None or slots[labels].all():
                continue
            kept = slots[labels]
            places = np.where(kept, np.cumsum(kept) - 1, int(kept.sum()))
            longer = f"{_inside(name)}.longer{axis}"
            amounts: list[Arg] = [*([0] * (2 * (value.ndim - axis) - 1)), 1]
            shape[axis] = int(kept.sum()) + 1
            found.append(
                Node(
                    longer,
                    "aten.constant_pad_nd.default",
                    {"self": Ref(current), "pad": amounts, "value": 0.0},
                    (Output(tuple(shape), weight.dtype),),
                )
            )
            shape[axis] = len(labels)
            current = f"{_inside(name)}.{axis}"
            found.append(_picked(current, longer, axis, places, Output(tuple(shape), weight.dtype)))
        found.append(
            Node(
                _inside(name),
                "aten.alias.default",
                {"self": Ref(current)},
                (Output(tuple(weight.shape), weight.dtype),),
            )
        )
        return found

    def _unpadded(self, node: Node, slots: Slots) -> list[Node]:
        """The kept channels of a padded operator's result, for those that read it."""
        values = self._followed.values[node.name]
        if not values or not values[0].padded or node.kind in SEVERAL:
            return []
        current, found = _inside(node.name), []
        shape = list(node.outputs[0].shape)
        for axis, labels in enumerate(values[0].labels):
            index = self._index(labels, slots)
            if index is not None:
                shape[axis] = len(index)
                after = f"{node.name}.kept{axis}"
                found.append(
                    _picked(after, current, axis, index, Output(tuple(shape), node.outputs[0].dtype))
                )
                current = after
        found.append(
            Node(
                node.name,
                "aten.alias.default",
                {"self": Ref(current)},
                (Output(tuple(shape), node.outputs[0].dtype),),
            )
        )
        return found


def _repeated(classes: Index, times: Index) -> Index:
    """Entries in order, those of a class that lie side by side as often as it occurs: all of them, then all again."""
    starts = np.flatnonzero(np.diff(classes, prepend=-1))
    runs = np.split(np.arange(len(classes)), starts[1:])
    return np.concatenate([np.tile(run, int(times[run[0]])) for run in runs])


SEVERAL = ("_native_batch_norm_legit", "var_mean", "max", "min")
"""Operators with several results: what takes one of them is padded itself."""


def _inside(name: str) -> str:
    return f"{name}~complete"


def _picked(name: str, source: str, axis: int, places: Index, output: Output) -> Node:
    chosen: list[Arg] = [int(place) for place in places]
    args: dict[str, Arg] = {"self": Ref(source), "dim": axis, "index": chosen}
    return Node(name, "builtin.pick", args, (output,))


def _cut_shape(shape: Shape, value: Val, slots: Slots) -> Shape:
    sizes = list(shape)
    for axis, labels in enumerate(value.labels):
        if labels is None:
            continue
        count = int(slots[labels].sum())
        sizes[axis] = count if not multiple(shape[axis]) else f"{count}*b"
    return tuple(sizes)


def _without(nodes: list[Node], results: list[str], skipped: Mapping[str, str]) -> list[Node]:
    """The operators that are still needed where some pass on another value."""

    def follow(name: str) -> str:
        while name in skipped:
            name = skipped[name]
        return name

    def renamed(value: Arg) -> Arg:
        if isinstance(value, Ref):
            return Ref(follow(value.name))
        return [renamed(each) for each in value] if isinstance(value, list) else value

    needed = {follow(name) for name in results}
    kept = []
    for node in reversed(nodes):
        if node.name in needed:
            node = replace(node, args={name: renamed(value) for name, value in node.args.items()})
            kept.append(node)
            needed.update(node.refs())
    return kept[::-1]
