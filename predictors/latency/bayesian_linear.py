"""Bayesian linear model on LayerSpec features: latency from 20-30 measured subnets.

``latency = b + w . features``, with a Gaussian prior on ``w``. The widths of the prior and of the noise
maximise the evidence (MacKay, 1992, "Bayesian interpolation"). Noise is relative: a network twice as slow has
twice the error.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from predictors.arrays import Array, Arrays
from predictors.latency.features import features_of
from predictors.predictor import Predictor, Values
from predictors.scope import Scope
from supernets.eigen import eigh
from supernets.families.family import Family
from supernets.spaces.space import Population

ROUNDS = 300
CONVERGED = 1e-4
# The intercept is practically free: its prior is wider than the mean latency by this factor.
FREE = 1e3
FIXED = 1
# Prior of the noise: 2 %, the usual difference of two measurements, with the weight of two rows. Without it,
# a fit with as many features as rows would estimate no noise.
KNOWN_NOISE, KNOWN_ROWS = 0.02, 2.0
# Up to this many rows the interval is calibrated by refitting without each row; above, the closed form is as good.
REFIT_UP_TO = 64


class BayesianLinear(Predictor):
    """See the module docstring. Needs 8 rows; 20-30 that cover the space give a median error of a few percent."""

    name = "bayesian_linear"
    fewest_rows = 8

    def __init__(self, family: Family, scope: Scope, seed: int = 0) -> None:
        super().__init__(family, scope, seed)
        self._features = features_of(family)
        self._weights = np.empty(0)
        self._factor = np.empty((0, 0))
        self._noise = 0.0

    def _design(self, archs: Population) -> NDArray[np.float64]:
        """Features with an intercept ``(n, k + 1)``."""
        features = self._features.standardised(archs)
        return np.concatenate([np.ones((len(features), 1)), features], axis=1)

    def _learn(self, archs: Population, y: Values) -> tuple[Values, float]:
        # Divided by its measured value, every row has the same noise and the target 1.
        unit = float(y.mean())
        rows, ones = self._design(archs) * (unit / y)[:, None], np.ones(len(y))
        fit = maximise_evidence(rows, ones, FIXED)
        self._weights = unit * fit.weights
        self._factor = unit * fit.factor
        self._noise = fit.noise
        residuals = _refitted(rows, ones, fit) if len(y) <= REFIT_UP_TO else fit.leave_one_out
        return residuals, fit.parameters

    def _answer(self, archs: Population) -> tuple[Values, Values]:
        design = self._design(archs)
        mean = design @ self._weights
        variance = np.square(design @ self._factor).sum(axis=1) + np.square(self._noise * mean)
        return mean, np.sqrt(variance)

    def _state(self) -> Mapping[str, Array]:
        return {"weights": self._weights, "factor": self._factor, "noise": np.array([self._noise])}

    def _restore(self, state: Arrays) -> None:
        self._weights, self._factor = state.floats("weights"), state.floats("factor")
        (self._noise,) = state.numbers("noise")


class Fit:
    """Posterior of a linear model: weights ``(k,)``, ``factor (k, k)`` with covariance ``factor factor^T``."""

    def __init__(self, rows: NDArray[np.float64], y: Values, precision: Values, noise: float) -> None:
        inverse = rows.T @ rows / noise**2 + np.diag(precision)
        values, vectors = eigh(inverse)
        self.precision, self.noise = precision, noise
        self.factor = vectors / np.sqrt(np.maximum(values, 1e-300))
        self.weights = self.factor @ (self.factor.T @ (rows.T @ y)) / noise**2
        self.residuals = y - rows @ self.weights
        self.spread = np.square(rows @ self.factor).sum(axis=1) / noise**2
        self.determined = 1 - precision * np.square(self.factor).sum(axis=1)

    @property
    def parameters(self) -> float:
        """The effective number of parameters determined by the data (the others stay at their prior)."""
        return float(self.determined.sum())

    @property
    def leave_one_out(self) -> Values:
        """Residual of each row ``(n,)`` if it is left out, in its predictive standard deviations."""
        left = np.maximum(1 - self.spread, 1e-6)
        # residual / left, over noise * sqrt(1 + spread / left) = noise / sqrt(left).
        return np.asarray(self.residuals / np.sqrt(left) / self.noise)


def maximise_evidence(rows: NDArray[np.float64], y: Values, fixed: int, start: Fit | None = None) -> Fit:
    """Posterior of ``y (n,) = rows (n, k) . w + noise`` at the most likely prior width and noise.

    The first ``fixed`` weights have a separate, very wide prior. Takes at most ``ROUNDS`` fixed-point steps,
    starting from ``start`` or from a width of 1 and a noise of 10 %.
    """
    n, k = rows.shape
    learnt = np.arange(k) >= fixed
    precision = np.where(learnt, 1.0, FREE**-2) if start is None else start.precision
    fit = Fit(rows, y, precision, 0.1 if start is None else start.noise)
    for _ in range(ROUNDS):
        determined = max(float(fit.determined[learnt].sum()), 1e-6)
        width = determined / max(float(np.square(fit.weights[learnt]).sum()), 1e-12)
        squares = float(np.square(fit.residuals).sum()) + KNOWN_ROWS * KNOWN_NOISE**2
        noise = float(np.sqrt(squares / (max(n - fit.parameters, 0.0) + KNOWN_ROWS)))
        change = abs(np.log(width / fit.precision[-1])) + abs(np.log(noise / fit.noise))
        fit = Fit(rows, y, np.where(learnt, width, FREE**-2), noise)
        if change < CONVERGED:
            break
    return fit


def _refitted(rows: NDArray[np.float64], y: Values, whole: Fit) -> Values:
    """Residual of each row ``(n,)`` under a fit without it, in that fit's predictive standard deviations."""
    residuals = np.empty(len(y))
    for left_out in range(len(y)):
        kept = np.arange(len(y)) != left_out
        fit = maximise_evidence(rows[kept], y[kept], FIXED, whole)
        row = rows[left_out]
        variance = np.square(row @ fit.factor).sum() + fit.noise**2
        residuals[left_out] = (y[left_out] - row @ fit.weights) / np.sqrt(variance)
    return residuals
