"""Latency from hundreds of rows: a robust Gaussian process on encoding and layers.

Latency is nearly a sum over layers, so most of it is linear in the inputs; the effect of fused and parallel layers
is smooth. The share and width of the smooth part and the noise maximise the evidence in closed form (one
eigendecomposition per candidate, on at most ``EVIDENCE_ROWS`` rows). Rows with residuals above ``CLIP`` robust
standard deviations are clipped, because they are disturbed measurements.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular

from predictors.arrays import Array, Arrays
from predictors.latency.held_out import held_out_residuals
from predictors.latency.inputs import Matrix, exponential, inputs_of
from predictors.predictor import Predictor, Values
from predictors.scope import Scope
from supernets.eigen import eigh
from supernets.families.family import Family
from supernets.spaces.space import Population

EVIDENCE_ROWS = 300
# (share of the smooth part, its width); inputs have a total variance of 1 or 2.
CANDIDATES = ((0.0, 1.0), (0.1, 2.0), (0.1, 1.0), (0.5, 2.0), (0.5, 1.0), (0.9, 2.0), (0.9, 1.0), (0.9, 0.5))
NOISES = np.geomspace(1e-5, 1e1, 25)
CLIP = 4.0
# Above this number of rows, closed-form leave-one-out is as good and n times cheaper.
REFIT_UP_TO = 300
# Lower bound of the noise: that of a network with this share of the median latency.
FLOOR = 0.2
TINY = 1e-12
BLOCK = 1024


class LatencySurface(Predictor):
    """See the module docstring. Needs 10 rows; intended for hundreds. The cost of a fit grows as n^3, up to
    ``most_rows``."""

    name = "latency_surface"
    fewest_rows = 10
    most_rows = 2_000

    def __init__(self, family: Family, scope: Scope, seed: int = 0) -> None:
        super().__init__(family, scope, seed)
        self._inputs = inputs_of(family)
        self._rows: Matrix = np.empty((0, 0))
        self._sizes: Values = np.empty(0)
        self._left_out: Values = np.empty(0)
        self._factor: Matrix = np.empty((0, 0))
        self._weights: Values = np.empty(0)
        self._unit, self._share, self._width, self._noise, self._size = 1.0, 0.0, 1.0, 1.0, 1.0

    def _kernel(self, left: Matrix, right: Matrix) -> Matrix:
        return covariance(left, right, self._share, self._width)

    def _learn(self, archs: Population, y: Values) -> tuple[Values, float]:
        determined = self._train(archs, y)
        if len(y) <= REFIT_UP_TO:
            return held_out_residuals(self.fresh, archs, y, self.seed), determined
        return self._left_out, determined

    def _train(self, archs: Population, y: Values) -> float:
        """Fit; returns the effective number of parameters determined by the data."""
        self._rows = self._inputs(archs)
        self._unit = float(np.median(y))
        # Noise is relative: every row is divided by its latency, bounded from below.
        self._sizes = np.maximum(y / self._unit, FLOOR)
        target = (y / self._unit - 1) / self._sizes
        self._share, self._width, self._noise = self._most_likely(target)
        self._factorise()
        inverse = cho_solve((self._factor, True), np.eye(len(y)))
        left_out = inverse @ target / np.diag(inverse)
        spread = max(1.4826 * float(np.median(np.abs(left_out))), 1e-9)
        clipped = target - left_out + np.clip(left_out, -CLIP * spread, CLIP * spread)
        self._weights = inverse @ clipped
        self._size = max(float(clipped @ self._weights) / len(y), TINY)
        self._left_out = (inverse @ target) / np.sqrt(np.diag(inverse) * self._size)
        determined = len(y) - self._noise * float(np.trace(inverse))
        return min(determined, len(y) / 2)

    def _most_likely(self, target: Values) -> tuple[float, float, float]:
        """Share and width of the smooth part, and noise over signal variance."""
        rows, values, sizes = self._rows, target, self._sizes
        if len(target) > EVIDENCE_ROWS:
            kept = np.random.default_rng(self.seed).permutation(len(target))[:EVIDENCE_ROWS]
            rows, values, sizes = rows[kept], target[kept], sizes[kept]
        spread = 1.4826 * float(np.median(np.abs(values - np.median(values)))) or float(values.std())
        # First clips the values themselves, so that a single extreme row does not dominate the noise estimate.
        values = np.clip(values, np.median(values) - 6 * spread, np.median(values) + 6 * spread)
        best, found = -np.inf, (0.0, 1.0, 1.0)
        for share, width in CANDIDATES:
            kernel = covariance(rows, rows, share, width) / np.outer(sizes, sizes)
            roots, vectors = eigh(kernel)
            spectrum = np.maximum(roots, 0.0)[None, :] + NOISES[:, None]
            squares = np.square(vectors.T @ values)[None, :]
            evidence = -0.5 * len(values) * np.log((squares / spectrum).mean(axis=1) + TINY)
            evidence -= 0.5 * np.log(spectrum).sum(axis=1)
            at = int(np.argmax(evidence))
            if evidence[at] > best:
                best, found = float(evidence[at]), (share, width, float(NOISES[at]))
        return found

    def _factorise(self) -> None:
        kernel = self._kernel(self._rows, self._rows) / np.outer(self._sizes, self._sizes)
        kernel[np.diag_indices(len(kernel))] += self._noise
        self._factor = cholesky(kernel, lower=True)

    def _answer(self, archs: Population) -> tuple[Values, Values]:
        mean, variance = np.empty(len(archs)), np.empty(len(archs))
        for start in range(0, len(archs), BLOCK):
            block = slice(start, start + BLOCK)
            inputs = self._inputs(archs[block])
            cross = self._kernel(inputs, self._rows) / self._sizes
            mean[block] = cross @ self._weights
            noise = self._noise * np.square(np.maximum(1 + mean[block], FLOOR))
            own = 1 + (1 - self._share) * np.square(inputs).sum(axis=1) + self._share + noise
            variance[block] = own - np.square(solve_triangular(self._factor, cross.T, lower=True)).sum(axis=0)
        std = np.sqrt(self._size * np.maximum(variance, self._noise * FLOOR**2))
        return self._unit * (1 + mean), self._unit * std

    def _state(self) -> Mapping[str, Array]:
        numbers = [self._unit, self._share, self._width, self._noise, self._size]
        return {"weights": self._weights, "numbers": np.array(numbers)}

    def _restore(self, state: Arrays) -> None:
        assert self._archs is not None
        self._weights = state.floats("weights")
        self._unit, self._share, self._width, self._noise, self._size = state.numbers("numbers")
        self._rows = self._inputs(self._archs)
        self._sizes = np.maximum(self._y / self._unit, FLOOR)
        self._factorise()


def covariance(left: Matrix, right: Matrix, share: float, width: float) -> Matrix:
    """A constant, a linear part and a smooth part ``(n, m)``."""
    kernel: Matrix = 1 + (1 - share) * (left @ right.T)
    if share > 0:
        kernel += share * exponential(left, right, width)
    return kernel
