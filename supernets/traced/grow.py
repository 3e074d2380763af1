"""A graph with more channels or one more convolution: the opposite of :mod:`supernets.traced.cut`. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from supernets.spaces.growth import Deepen, Growth, Widen
from supernets.traced.cut import Cutter, Index
from supernets.traced.graph import Arg, Graph, Node, Output, Ref, Weight
from supernets.traced.groups import Group, Groups, channel_axes, parameters, unit_of

PREFIX = "grown"
"""Module of the convolutions that were added, numbered from 1."""
KERNEL = 3
REPEATABLE = ("relu", "relu_", "relu6", "hardtanh", "hardtanh_")
"""Activations that leave their own output as it is."""


@dataclass(frozen=True)
class Grown:
    """A larger network.

    Attributes:
        graph: its operators and weights.
        indices: weight of the smaller network to the entries along each axis that the larger one has, None where they
            are the same; the second and later occurrences of an entry are new.
        identity: weight of a convolution that is to keep its input, where one was added, and its bias.
    """

    graph: Graph
    indices: Mapping[str, tuple[Index | None, ...]] = field(default_factory=dict)
    identity: tuple[str, str] | None = None


def fresh(index: Index) -> Index:
    """Positions along an axis that are new."""
    _, first = np.unique(index, return_index=True)
    return np.setdiff1d(np.arange(len(index)), first)


def growths(groups: Groups, offered: Mapping[int, str], channels: int, capacity: int) -> tuple[Growth, ...]:
    """What may be added to a graph: ``channels`` to each axis that can be widened, a convolution in each block.

    A block is what has one height and width; it takes at most ``capacity`` new convolutions.
    """
    found: list[Growth] = []
    for index in offered:
        group = groups.groups[index]
        if _can_widen(groups, group):
            larger = widened(groups, index, channels).graph
            found.append(Widen(group.name, channels, _size(larger) - _size(groups.graph)))
    for node in _ends(groups.graph, capacity):
        count = int(node.outputs[0].shape[1])
        found.append(Deepen(node.name, count * count * KERNEL * KERNEL + count))
    return tuple(found)


def grow(groups: Groups, growth: Growth) -> Grown:
    """The larger network."""
    if isinstance(growth, Deepen):
        return deepened(groups.graph, growth.after)
    index = next(place for place, group in enumerate(groups.groups) if group.name == growth.axis)
    return widened(groups, index, growth.channels)


# --- wider -----------------------------------------------------------------------------------------


def _can_widen(groups: Groups, group: Group) -> bool:
    """Whether copies of its units can stand behind them.

    Not where channels are averaged, where complete weights are read, or where channels form groups of several. The
    entries of a unit along an axis must lie side by side.
    """
    followed, classes = groups.followed, groups.classes
    if any(value and value[0].padded for value in followed.values.values()):
        return False
    for averaged in followed.averages.values():
        if any(np.isin(classes.parts_of(labels), group.units).any() for labels in averaged):
            return False
    sizes = {weight.name: weight.shape for weight in groups.graph.weights}
    for weight, _, labels in channel_axes(groups.graph, followed):
        own = unit_of(classes, labels, group.units)
        if not np.isin(own, group.units).any():
            continue
        runs = own[np.flatnonzero(np.diff(own, prepend=-1))]
        if len(np.unique(runs[np.isin(runs, group.units)])) < np.isin(runs, group.units).sum():
            return False
        for node in groups.graph.nodes:
            if weight.name in node.refs() and node.args.get("groups", 1) not in (1, sizes[weight.name][0]):
                return False
    return True


def widened(groups: Groups, index: int, channels: int) -> Grown:
    """Copies of the last units of an axis stand behind them, ``channels`` in all."""
    units = groups.groups[index].units
    times = np.ones(groups.classes.n, dtype=np.int64)
    for place in range(channels):
        times[units[-1 - place % len(units)]] += 1
    cut = Cutter(groups).cut(times)
    return Grown(cut.graph, cut.indices)


# --- deeper ----------------------------------------------------------------------------------------


def _ends(graph: Graph, capacity: int) -> Iterator[Node]:
    """The last activation of each block that may be repeated."""
    results = {*graph.output_names(), graph.quality}
    last: dict[tuple[int | str, ...], Node] = {}
    for node in graph.nodes:
        output = node.outputs[0] if len(node.outputs) == 1 else None
        if output is None or node.kind not in REPEATABLE or node.name in results:
            continue
        if len(output.shape) == 4 and output.dtype == "float32" and isinstance(output.shape[1], int):
            last[output.shape[2:]] = node
    added: dict[tuple[int | str, ...], int] = {}
    for node in graph.nodes:
        if node.kind == "conv2d" and node.module.startswith(f"{PREFIX}."):
            size = node.outputs[0].shape[2:]
            added[size] = added.get(size, 0) + 1
    for size, node in last.items():
        if added.get(size, 0) < capacity:
            yield node


def deepened(graph: Graph, after: str) -> Grown:
    """A convolution and the activation once more stand behind the activation ``after``; what read that reads these."""
    keys = {key for weight in graph.weights for key in weight.keys}
    number = next(
        k for k in range(1, len(keys) + 2) if not any(key.startswith(f"{PREFIX}.{k}.") for key in keys)
    )
    module = f"{PREFIX}.{number}"
    place = next(k for k, node in enumerate(graph.nodes) if node.name == after)
    node = graph.nodes[place]
    output = node.outputs[0]
    count = int(output.shape[1])
    weights = (
        Weight(f"w.{module}.weight", (f"{module}.weight",), "parameter", (count, count, KERNEL, KERNEL), output.dtype),
        Weight(f"w.{module}.bias", (f"{module}.bias",), "parameter", (count,), output.dtype),
    )  # fmt: skip
    again = f"{module}.activation"
    source = next(name for name, value in node.args.items() if isinstance(value, Ref))
    nodes = [
        *graph.nodes[: place + 1],
        _convolution(module, after, output),
        replace(node, name=again, args={**node.args, source: Ref(module)}),
        *(replace(each, args=_renamed(each.args, after, again)) for each in graph.nodes[place + 1 :]),
    ]
    larger = replace(graph, weights=(*graph.weights, *weights), nodes=tuple(nodes))
    return Grown(larger, {}, (weights[0].name, weights[1].name))


def _convolution(module: str, source: str, output: Output) -> Node:
    args: dict[str, Arg] = {
        "input": Ref(source),
        "weight": Ref(f"w.{module}.weight"),
        "bias": Ref(f"w.{module}.bias"),
        "stride": [1, 1],
        "padding": [KERNEL // 2, KERNEL // 2],
    }
    return Node(module, "aten.conv2d.default", args, (output,), module)


def _renamed(args: Mapping[str, Arg], old: str, new: str) -> dict[str, Arg]:
    def of(value: Arg) -> Arg:
        if isinstance(value, Ref):
            return Ref(new) if value.name == old else value
        return [of(each) for each in value] if isinstance(value, list) else value

    return {name: of(value) for name, value in args.items()}


def _size(graph: Graph) -> int:
    return sum(int(np.prod(weight.shape)) for weight in parameters(graph))
