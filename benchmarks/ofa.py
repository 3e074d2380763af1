"""Once-for-all's MobileNetV3 space with an accuracy MLP and a latency table, as arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import read_figures
from supernets.families.mobilenet_v3 import MobileNetV3
from supernets.spaces.space import Population, Space

BLOCKS, KERNELS, EXPANSIONS, SLOTS = 20, (3, 5, 7), (3, 4, 6), 8
FEATURES = BLOCKS * 6 + SLOTS
WIDTHS = (FEATURES, 400, 400, 400, 1)


class Layout:
    """Where the genes of the 46 axes lie: one resolution, 5 depths, and kernel and expansion of 20 blocks."""

    def __init__(self) -> None:
        self.space: Space = MobileNetV3.from_config({}).space()
        names = [(stage, block) for stage in range(1, 6) for block in range(1, 5)]
        self.kernel = np.array([self.space.column(f"stage{s}.block{b}.kernel") for s, b in names])
        self.expand = np.array([self.space.column(f"stage{s}.block{b}.expand") for s, b in names])
        self.resolution = self.space.column("resolution")
        sizes = np.array([int(r) for r in self.space.axes[self.resolution].choices])
        self.slot = (sizes - 112) // 16

    def pairs(self, population: Population) -> NDArray[np.int64]:
        """Kernel and expansion of each block as one number ``(n, 20)``: ``3 k + e``, and 9 where it is skipped."""
        pairs = population[:, self.kernel] * 3 + population[:, self.expand]
        pairs[~self.space.active(population)[:, self.kernel]] = 9
        return pairs


class AccuracyMLP:
    """128-400-400-400-1 on one-hot features; accuracy as a fraction. Without a file, stand-in number ``stand_in``."""

    def __init__(self, layout: Layout, weights: Path | None, stand_in: int = 0) -> None:
        self.layout = layout
        if weights is None:
            rng = np.random.default_rng(2 * stand_in)
            shapes = list(zip(WIDTHS[1:], WIDTHS[:-1], strict=True))
            layers = [(rng.normal(0, np.sqrt(2 / i), (o, i)), rng.normal(0, 0.05, o)) for o, i in shapes]
        else:
            with np.load(weights, allow_pickle=False) as file:
                layers = [(file[f"{k}.weight"], file[f"{k}.bias"]) for k in (0, 2, 4, 6)]
        shapes = [w.shape for w, _ in layers]
        expected = [(o, i) for o, i in zip(WIDTHS[1:], WIDTHS[:-1], strict=True)]
        if shapes != expected:
            raise ValueError(f"the predictor must have layers {expected}, got {shapes}")
        self.layers = [(w.T.astype(np.float32).copy(), b.astype(np.float32)) for w, b in layers]
        one_hot = np.zeros((10, 6), dtype=np.float32)
        for k in range(3):
            for e in range(3):
                one_hot[3 * k + e, [k, 3 + e]] = 1.0
        self._one_hot = one_hot
        order = np.concatenate(
            [
                [6 * b + k for b in range(BLOCKS) for k in range(3)],
                [6 * b + 3 + e for b in range(BLOCKS) for e in range(3)],
            ]
        )
        # The features are laid out block by block; the first layer's rows follow.
        first = np.empty((BLOCKS * 6, WIDTHS[1]), dtype=np.float32)
        first[order] = self.layers[0][0][: BLOCKS * 6]
        self.layers[0] = (np.concatenate([first, self.layers[0][0][BLOCKS * 6 :]]), self.layers[0][1])

    def fit(self, archs: Population, y: NDArray[np.float64]) -> None:
        """The weights are given."""
        raise NotImplementedError("the weights of this predictor are given")

    def predict(self, archs: Population) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Accuracy ``(n,)`` and a spread of zero."""
        n = len(archs)
        x = np.zeros((n, FEATURES), dtype=np.float32)
        x[:, : BLOCKS * 6] = self._one_hot[self.layout.pairs(archs)].reshape(n, -1)
        x[np.arange(n), BLOCKS * 6 + self.layout.slot[archs[:, self.layout.resolution]]] = 1.0
        for weight, bias in self.layers[:-1]:
            x = x @ weight
            x += bias
            np.maximum(x, 0.0, out=x)
        weight, bias = self.layers[-1]
        return (x @ weight + bias)[:, 0].astype(np.float64), np.zeros(n)

    def quantile(self, archs: Population, p: float) -> NDArray[np.float64]:
        """The prediction: it has no spread."""
        _ = p
        return self.predict(archs)[0]


class LatencyTable:
    """Latency in ms as a sum over blocks; the table has a value for each block, kernel, expansion and resolution.

    JSON: ``{"base": [ms for each resolution], "blocks": [20][3 kernels][3 expansions][resolutions]}``, with the
    resolutions of the space in ascending order. Without a file it is stand-in number ``stand_in``: work of
    a block, times noise.
    """

    def __init__(self, layout: Layout, file: Path | None, stand_in: int = 0) -> None:
        self.layout = layout
        sizes = np.array([int(r) for r in layout.space.axes[layout.resolution].choices])
        if file is None:
            rng = np.random.default_rng(2 * stand_in + 1)
            work = np.array(EXPANSIONS)[None, :, None] * (2.0 + 0.05 * np.array(KERNELS)[:, None, None] ** 2)
            blocks = 0.02 * work * (sizes / 224) ** 2 * rng.uniform(0.6, 1.6, (BLOCKS, 3, 3, 1))
            base = 2.0 * (sizes / 224) ** 2
        else:
            value = read_figures(file)
            base, blocks = np.array(value["base"], float), np.array(value["blocks"], float)
        if base.shape != sizes.shape or blocks.shape != (BLOCKS, 3, 3, len(sizes)):
            raise ValueError(f"a latency table needs shapes {sizes.shape} and {(BLOCKS, 3, 3, len(sizes))}")
        self.base = base
        # (resolution, block, pair) flat, with a pair 9 of cost 0 for skipped blocks.
        table = np.zeros((len(sizes), BLOCKS, 10))
        table[:, :, :9] = blocks.reshape(BLOCKS, 9, len(sizes)).transpose(2, 0, 1)
        self._table, self._offset = table.reshape(-1), np.arange(BLOCKS) * 10

    def fit(self, archs: Population, y: NDArray[np.float64]) -> None:
        """The table is given."""
        raise NotImplementedError("the table is given")

    def predict(self, archs: Population) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Latency ``(n,)`` in ms and a spread of zero."""
        resolution = archs[:, self.layout.resolution]
        at = self.layout.pairs(archs)
        at += self._offset
        at += (resolution * (BLOCKS * 10))[:, None]
        return self.base[resolution] + self._table[at].sum(axis=1), np.zeros(len(archs))

    def quantile(self, archs: Population, p: float) -> NDArray[np.float64]:
        """The latency: it has no spread."""
        _ = p
        return self.predict(archs)[0]
