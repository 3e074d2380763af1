"""Inputs of quality predictors: the encoding of an arch and its size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from supernets.families.family import Family
from supernets.metrics import ACTIVATION, MACS, PARAMS
from supernets.spaces.space import Population

Matrix = NDArray[np.float64]

SCALE_SAMPLE = 2048
SIZES = (PARAMS, MACS, ACTIVATION)
JITTER = 1e-8


class QualityInputs:
    """The centred one-hot encoding with total variance 1, then log sizes with variance 1 each."""

    def __init__(self, family: Family) -> None:
        self._family, self._space = family, family.space()
        encoded, sizes = self._raw(self._space.sample(np.random.default_rng(0), SCALE_SAMPLE))
        self._encoded_scale = encoded.mean(axis=0), max(float(encoded.var(axis=0).sum()), JITTER) ** 0.5
        self._sizes_scale = sizes.mean(axis=0), np.maximum(sizes.std(axis=0), JITTER)

    def _raw(self, archs: Population) -> tuple[Matrix, Matrix]:
        costs = self._family.costs(archs)
        sizes = np.log(np.stack([costs[name] for name in SIZES], axis=1))
        return self._space.features(archs).astype(np.float64), sizes

    def __call__(self, archs: Population) -> Matrix:
        """Inputs ``(n, one-hot width + 3)``."""
        encoded, sizes = self._raw(archs)
        return np.concatenate(
            [
                (encoded - self._encoded_scale[0]) / self._encoded_scale[1],
                (sizes - self._sizes_scale[0]) / self._sizes_scale[1],
            ],
            axis=1,
        )
