"""An arch as a graph of its layers, from the rows that every family and table has.

A node is a layer: its kind, six sizes, and kernel and bias where it has weights. Layers that follow each other are
joined. A sum is also joined to the last layer before its own input that has the same output, which is where a
residual usually begins. Rows do not record more of the topology: branches of a cell lie one after another.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from supernets.families.family import Family
from supernets.spaces.layers import LayerSpec
from supernets.spaces.space import Population

KINDS = (
    "other",
    "conv",
    "depthwise",
    "linear",
    "pool",
    "scale",
    "add",
    "layer_norm",
    "embedding",
    "attention",
)
WEIGHTED = ("conv", "depthwise", "linear")
SIZES = 6
WHOLE = 2
KERNELS = 8  # 0 without a kernel; sides of 7 and more are one
BIASES = 3  # no weights, without bias, with bias
GIGA = 1e9
TINY = 1e-12
SAMPLE = 256
LEAST_SPREAD = 1e-3

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Usual:
    """Mean and standard deviation of the sizes of a space's nodes ``(2, 6)`` and of whole archs ``(2, 2)``.

    Layers of another space may be a thousand times larger, and a network that was not trained on such sizes knows
    nothing of them. Relative to its space a large layer is large everywhere.
    """

    size: NDArray[np.float32]
    whole: NDArray[np.float32]

    @classmethod
    def of(cls, graphs: Graphs) -> Self:
        """What is usual among these graphs."""
        return cls(*(_spread(each) for each in (graphs.size, graphs.whole)))

    @classmethod
    def of_space(cls, family: Family) -> Self:
        """What is usual among random archs of a space."""
        return cls.of(Graphs.of_archs(family, family.space().sample(np.random.default_rng(0), SAMPLE)))


def _spread(values: NDArray[np.float32]) -> NDArray[np.float32]:
    std = values.std(axis=0)
    return np.stack([values.mean(axis=0), np.where(std > LEAST_SPREAD, std, 1.0)]).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Graphs:
    """Graphs, one after another: ``n`` nodes in all, ``e`` edges, ``k`` graphs.

    ``kind``, ``kernel``, ``bias`` and ``graph`` are ``(n,)``, ``size (n, 6)``. An edge ``(2, e)`` joins two nodes in
    both directions and is there once. ``gmacs (k,)`` are multiply-accumulates in units of 1e9. ``size`` and
    ``whole (k, 2)``, the logarithms of MACs and of the number of nodes, are as they are until :meth:`within`.
    """

    kind: Integers
    kernel: Integers
    bias: Integers
    size: NDArray[np.float32]
    graph: Integers
    edge: Integers
    gmacs: NDArray[np.float64]
    whole: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.gmacs)

    @classmethod
    def of(cls, networks: Iterable[Sequence[LayerSpec]]) -> Self:
        """The graphs of networks, each given by its layers in order of execution, at least one."""
        nodes: list[tuple[int, ...]] = []
        sizes: list[tuple[float, ...]] = []
        edges: list[tuple[int, int]] = []
        graph: list[int] = []
        gmacs: list[float] = []
        for number, layers in enumerate(networks):
            edges += [(len(nodes) + left, len(nodes) + right) for left, right in joined(layers)]
            graph += [number] * len(layers)
            gmacs.append(sum(layer.macs for layer in layers) / GIGA)
            for layer in layers:
                node, size = described(layer)
                nodes.append(node)
                sizes.append(size)
        kind, kernel, bias = np.array(nodes, dtype=np.int64).reshape(-1, 3).T
        count = np.bincount(np.array(graph, dtype=np.int64), minlength=len(gmacs))
        whole = np.stack([np.log(np.maximum(gmacs, TINY)), np.log(np.maximum(count, 1))], axis=1)
        return cls(
            kind,
            kernel,
            bias,
            np.array(sizes, dtype=np.float32).reshape(-1, SIZES),
            np.array(graph, dtype=np.int64),
            np.array(edges, dtype=np.int64).reshape(-1, 2).T,
            np.array(gmacs),
            whole.astype(np.float32),
        )

    @classmethod
    def of_archs(cls, family: Family, archs: Population) -> Self:
        """The graphs of archs ``(k, d)``."""
        return cls.of(family.layers(arch) for arch in family.space().decode(archs))

    def take(self, rows: Integers) -> Graphs:
        """The graphs with these numbers, in their order."""
        start = np.searchsorted(self.graph, np.arange(len(self) + 1))
        first = np.searchsorted(self.graph[self.edge[0]], np.arange(len(self) + 1))
        nodes = _ranges(start[rows], start[rows + 1])
        edges = _ranges(first[rows], first[rows + 1])
        length, moved = start[rows + 1] - start[rows], np.zeros(len(self.kind), dtype=np.int64)
        moved[nodes] = np.arange(len(nodes))
        # A graph may be taken twice: the nodes of an edge are those of its own copy.
        shift = np.cumsum(length) - length - start[rows]
        by_edge = np.repeat(shift, first[rows + 1] - first[rows])
        return Graphs(
            self.kind[nodes],
            self.kernel[nodes],
            self.bias[nodes],
            self.size[nodes],
            np.repeat(np.arange(len(rows)), length),
            self.edge[:, edges] + by_edge,
            self.gmacs[rows],
            self.whole[rows],
        )

    def within(self, usual: Usual) -> Graphs:
        """The same graphs, with sizes relative to what is usual in their space."""
        size = (self.size - usual.size[0]) / usual.size[1]
        return replace(self, size=size, whole=(self.whole - usual.whole[0]) / usual.whole[1])


def _ranges(start: Integers, stop: Integers) -> Integers:
    """All integers of ``[start, stop)`` for each pair, one range after another."""
    length = stop - start
    return np.asarray(np.arange(length.sum()) + np.repeat(start - np.cumsum(length) + length, length))


@lru_cache(maxsize=65_536)
def described(layer: LayerSpec) -> tuple[tuple[int, int, int], tuple[float, ...]]:
    """Kind, kernel and bias as numbers, and six sizes."""
    kind = KINDS.index(layer.kind) if layer.kind in KINDS else 0
    weighted = layer.kind in WEIGHTED
    kernel = min(max(layer.kernel, layer.kernel_width or 0), KERNELS - 1) if weighted else 0
    sizes = (
        layer.in_channels,
        layer.in_positions,
        layer.out_channels,
        layer.out_positions,
        layer.params,
        layer.macs,
    )
    return (kind, kernel, weighted + (weighted and layer.bias)), tuple(np.log1p(sizes).tolist())


def joined(layers: Sequence[LayerSpec]) -> list[tuple[int, int]]:
    """Pairs of layers that are joined, see the module docstring; sorted by the later one."""
    edges = list(itertools.pairwise(range(len(layers))))
    for at, layer in enumerate(layers):
        if layer.kind != "add":
            continue
        for before in range(at - 2, -1, -1):
            if (layers[before].out_channels, layers[before].out_positions) == (
                layer.out_channels,
                layer.out_positions,
            ):
                edges.append((before, at))
                break
    return sorted(edges, key=lambda edge: edge[1])
