"""Encoding and layers of an arch as one matrix with meaningful distances."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from predictors.latency.features import features_of
from supernets.families.family import Family
from supernets.spaces.space import Population

Matrix = NDArray[np.float64]
SCALE_SAMPLE = 2048
# Layer quantities that are summed into one bound on a device's speed.
BOUNDS = (("count",), ("macs",), ("activation_bytes", "weight_bytes"))


class Inputs:
    """The centred one-hot encoding and the standardised layer features, each of total variance 1."""

    def __init__(self, family: Family) -> None:
        self._space = family.space()
        self._layers = features_of(family)
        sample = self._space.features(self._space.sample(np.random.default_rng(0), SCALE_SAMPLE))
        self._mean = sample.mean(axis=0)
        self._encoding_scale = max(float(sample.var(axis=0).sum()), 1e-12) ** 0.5
        self._layer_scale = max(int(self._layers.varying.sum()), 1) ** 0.5
        # Number of encoding columns; the others are layer features.
        self.encoding = sample.shape[1]
        quantities = [name.rpartition(".")[2] for name in self._layers.names]
        self._totals = np.array([[q in bound for bound in BOUNDS] for q in quantities], dtype=np.float64)

    def __call__(self, archs: Population) -> Matrix:
        """Inputs ``(n, k)``: one-hot columns, then layer features (none if a space has no layers)."""
        encoding = (self._space.features(archs) - self._mean) / self._encoding_scale
        return np.concatenate([encoding, self._layers.standardised(archs) / self._layer_scale], axis=1)

    def bounds(self, archs: Population) -> Matrix:
        """Quantities that may limit a device's speed ``(n, 3)``: number of layers, MACs, bytes moved."""
        return np.asarray(self._layers(archs) @ self._totals)


@lru_cache(maxsize=16)
def inputs_of(family: Family) -> Inputs:
    """The inputs of ``family``, built once and shared by all its models."""
    return Inputs(family)


def exponential(left: Matrix, right: Matrix, width: float) -> Matrix:
    """Squared exponential kernel ``(n, m)``."""
    squares = np.square(left).sum(axis=1)[:, None] + np.square(right).sum(axis=1)[None, :]
    return np.asarray(np.exp(np.maximum(squares - 2 * left @ right.T, 0.0) * (-0.5 / width**2)))
