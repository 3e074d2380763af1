"""Networks on graphs of layers, pre-trained on one space and adapted to others (AIO-P).

Mills et al., 2022, "AIO-P: Expanding Neural Performance Predictors Beyond Image Classification", arXiv:2211.17228.
The base has six graph convolutions and a regressor on the mean of the nodes and the size of the whole. An adapter is
a second network beside the frozen base, whose layers see those of the base; each further space trains one, and their
answers are averaged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from predictors.quality.graphs import BIASES, KERNELS, KINDS, SIZES, WHOLE, Graphs

WIDTH, DEPTH = 32, 6
BATCH = 64
RATE = 1e-3
UNKNOWN = 0.1

Values = NDArray[np.float64]
Net = TypeVar("Net", bound=nn.Module)


class Convolution(nn.Module):
    """``tanh(W h + V m)``, where ``m`` is the mean of the neighbours of a node."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.own = nn.Linear(inputs, WIDTH)
        self.around = nn.Linear(inputs, WIDTH, bias=False)

    def forward(self, nodes: Tensor, graphs: Joined) -> Tensor:
        """States ``(n, WIDTH)`` from states ``(n, inputs)``."""
        return torch.tanh(self.own(nodes) + self.around(graphs.around(nodes)))


class Joined:
    """Graphs as tensors."""

    def __init__(self, graphs: Graphs) -> None:
        self.kind, self.kernel = torch.from_numpy(graphs.kind), torch.from_numpy(graphs.kernel)
        self.bias, self.size = torch.from_numpy(graphs.bias), torch.from_numpy(graphs.size)
        self._whole = torch.from_numpy(graphs.whole)
        self._graph, self._count = torch.from_numpy(graphs.graph), len(graphs)
        both = np.concatenate([graphs.edge, graphs.edge[::-1]], axis=1)
        self._left, self._right = torch.from_numpy(both[0].copy()), torch.from_numpy(both[1].copy())
        degree = np.bincount(both[1], minlength=len(graphs.kind)).clip(1)
        self._degree = torch.from_numpy(degree.astype(np.float32))[:, None]
        nodes = np.bincount(graphs.graph, minlength=len(graphs)).clip(1)
        self._nodes = torch.from_numpy(nodes.astype(np.float32))[:, None]

    def around(self, nodes: Tensor) -> Tensor:
        """The mean ``(n, w)`` of the neighbours of each node."""
        return torch.zeros_like(nodes).index_add(0, self._right, nodes[self._left]) / self._degree

    def pooled(self, nodes: Tensor) -> Tensor:
        """The mean of the nodes of each graph, and the sizes of the whole ``(k, w + 2)``."""
        sums = nodes.new_zeros(self._count, nodes.shape[1]).index_add(0, self._graph, nodes)
        return torch.cat([sums / self._nodes, self._whole], dim=1)


def _embedding(n: int) -> nn.Embedding:
    """Small at first: what no source has stays small, and other layers are not mistaken for it."""
    made = nn.Embedding(n, WIDTH)
    nn.init.normal_(made.weight, std=UNKNOWN)
    return made


def _head(inputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1))


class Base(nn.Module):
    """The network of the first space."""

    def __init__(self) -> None:
        super().__init__()
        self.kind, self.kernel, self.bias = (_embedding(n) for n in (len(KINDS), KERNELS, BIASES))
        self.size = nn.Linear(SIZES, WIDTH)
        self.layers = nn.ModuleList([Convolution(WIDTH) for _ in range(DEPTH)])
        self.head = _head(WIDTH + WHOLE)

    def states(self, graphs: Joined) -> list[Tensor]:
        """The output ``(n, WIDTH)`` of each layer."""
        nodes = self.kind(graphs.kind) + self.size(graphs.size)
        nodes = nodes + self.kernel(graphs.kernel) + self.bias(graphs.bias)
        found = []
        for layer in self.layers:
            nodes = layer(nodes, graphs)
            found.append(nodes)
        return found

    def forward(self, graphs: Joined) -> Tensor:
        """One number for each graph ``(k,)``."""
        found: Tensor = self.head(graphs.pooled(self.states(graphs)[-1]))
        return found[:, 0]


class Adapter(nn.Module):
    """The network of a further space, beside a base that it does not change."""

    def __init__(self, base: Base) -> None:
        super().__init__()
        self._base = [base]  # in a list, so that its weights are not among those of the adapter
        self.layers = nn.ModuleList([Convolution(2 * WIDTH) for _ in range(DEPTH)])
        self.head = _head(2 * (WIDTH + WHOLE))

    def forward(self, graphs: Joined) -> Tensor:
        """One number for each graph ``(k,)``."""
        with torch.no_grad():
            states = self._base[0].states(graphs)
        nodes = torch.zeros_like(states[0])
        for layer, state in zip(self.layers, states, strict=True):
            nodes = layer(torch.cat([state, nodes], dim=1), graphs)
        both = torch.cat([graphs.pooled(states[-1]), graphs.pooled(nodes)], dim=1)
        found: Tensor = self.head(both)
        return found[:, 0]


def seeded(make: Callable[[], Net], seed: int) -> Net:
    """A new network with weights from ``seed``; torch's own generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def train(net: nn.Module, graphs: Graphs, target: Values, epochs: int, seed: int, rate: float = RATE) -> None:
    """Minimise the mean squared error to ``target (k,)``, with Adam and a rate that falls to 0 along a cosine."""
    rng = np.random.default_rng(seed)
    labels = torch.from_numpy(target.astype(np.float32))
    optimiser = torch.optim.Adam(net.parameters(), lr=rate)
    batches = -(-len(graphs) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * batches)
    for _ in range(epochs):
        for rows in np.array_split(rng.permutation(len(graphs)), batches):
            optimiser.zero_grad()
            error = net(Joined(graphs.take(rows))) - labels[torch.from_numpy(rows)]
            error.square().mean().backward()
            optimiser.step()
            schedule.step()


def answers(nets: Iterable[nn.Module], graphs: Graphs, block: int = 512) -> Values:
    """Mean ``(k,)`` of the outputs of the networks."""
    with torch.inference_mode():
        parts = [Joined(graphs.take(rows)) for rows in _blocks(len(graphs), block)]
        each = [torch.cat([net(part) for part in parts]).double().numpy() for net in nets]
    return np.asarray(np.mean(each, axis=0))


def _blocks(n: int, block: int) -> list[NDArray[np.int64]]:
    return np.array_split(np.arange(n), max(-(-n // block), 1))
