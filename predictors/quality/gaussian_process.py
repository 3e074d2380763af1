"""Gaussian process on the encoded arch: quality from about a hundred evaluated subnets.

The kernel is a sum of parts whose sizes maximise the marginal likelihood (Rasmussen & Williams, 2006,
ch. 5): a linear one on the one-hot encoding (every choice has an additive effect), and squared
exponentials of fixed widths on the encoding and on the size of the network (log params, log MACs, log
activation memory). Parts without explanatory power shrink to zero, so a hundred rows are enough.

Rows may have standard errors, for example where some were evaluated on fewer images than others. The variance of
such a row is added to its diagonal element of the covariance: noise beyond that of all rows, which is learned.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

from predictors.arrays import Array, Arrays
from predictors.predictor import Predictor, Values
from predictors.quality.inputs import JITTER, SIZES, Matrix, QualityInputs
from predictors.scope import Scope
from supernets.families.family import Family
from supernets.spaces.space import Population

# Width of the widest kernel of a group; each further part is half as wide.
ENCODING_WIDTH, ENCODING_PARTS = 2.0, 3
SIZE_WIDTH, SIZE_PARTS = 4.0, 4
STEPS = 50
# A weak prior on the log share of the variance of each part: without data a part stays near 5 %.
PRIOR_MEAN, PRIOR_STD = np.log(0.05), 3.0
LEAST, LARGEST = np.log(1e-6), np.log(1e2)
BLOCK = 1024


class GaussianProcess(Predictor):
    """See the module docstring. Needs 10 rows; about a hundred give useful ranks. The cost of a fit grows as n^3, up to
    ``most_rows``."""

    name = "gaussian_process"
    fewest_rows = 10
    most_rows = 1_000
    suits = ("evaluated",)
    uses_errors = True

    def __init__(self, family: Family, scope: Scope, seed: int = 0) -> None:
        super().__init__(family, scope, seed)
        self._features = QualityInputs(family)
        self._shares = np.empty(0)
        self._inputs = np.empty((0, 0))
        self._weights = np.empty(0)
        self._factor = np.empty((0, 0))
        self._offset, self._unit = 0.0, 1.0
        self.left_out_deviations: Values = np.empty(0)
        """Standard deviation ``(n,)`` of the prediction of each row from all others, after a fit."""

    def _parts(self, left: Matrix, right: Matrix) -> list[Matrix]:
        """Every part of the kernel ``(n, m)``, each of variance about 1 over the space."""
        cut = left.shape[1] - len(SIZES)
        encoded = _exponentials(left[:, :cut], right[:, :cut], ENCODING_WIDTH, ENCODING_PARTS)
        sizes = _exponentials(left[:, cut:], right[:, cut:], SIZE_WIDTH, SIZE_PARTS)
        return [left[:, :cut] @ right[:, :cut].T, *encoded, *sizes]

    def _learn(self, archs: Population, y: Values) -> tuple[Values, float]:
        self._offset, self._unit = float(y.mean()), max(float(y.std()), 1e-12)
        target = (y - self._offset) / self._unit
        self._inputs = self._features(archs)
        parts = np.stack([*self._parts(self._inputs, self._inputs), np.eye(len(y))])
        own = JITTER if self._errors is None else JITTER + np.square(self._errors / self._unit)
        self._shares = maximise_likelihood(parts, target, jitter=own)
        lower = cholesky(np.tensordot(self._shares, parts, 1) + own * np.eye(len(y)), lower=True)
        self._weights = cho_solve((lower, True), target)
        self._factor = lower
        inverse = cho_solve((lower, True), np.eye(len(y)))
        # Rasmussen & Williams (5.12): leave-one-out residual over its standard deviation.
        residuals = self._weights / np.sqrt(np.diag(inverse))
        self.left_out_deviations = self._unit / np.sqrt(np.diag(inverse))
        determined = len(y) - self._shares[-1] * float(np.trace(inverse))
        return residuals, min(determined, len(y) / 2)

    def _answer(self, archs: Population) -> tuple[Values, Values]:
        mean, variance = np.empty(len(archs)), np.empty(len(archs))
        for start in range(0, len(archs), BLOCK):
            block = slice(start, start + BLOCK)
            mean[block], variance[block] = self._answer_block(archs[block])
        return self._offset + self._unit * mean, self._unit * np.sqrt(variance)

    def _answer_block(self, archs: Population) -> tuple[Values, Values]:
        inputs = self._features(archs)
        cut = inputs.shape[1] - len(SIZES)
        cross = np.zeros((len(self._inputs), len(inputs)))
        for share, part in zip(self._shares, self._parts(self._inputs, inputs), strict=False):
            cross += share * part
        own = self._shares[0] * np.square(inputs[:, :cut]).sum(axis=1) + self._shares[1:].sum()
        explained = np.square(solve_triangular(self._factor, cross, lower=True)).sum(axis=0)
        return cross.T @ self._weights, np.maximum(own - explained, JITTER)

    def _state(self) -> Mapping[str, Array]:
        return {
            "shares": self._shares,
            "inputs": self._inputs,
            "weights": self._weights,
            "factor": self._factor,
            "scale": np.array([self._offset, self._unit]),
        }

    def _restore(self, state: Arrays) -> None:
        self._shares, self._inputs = state.floats("shares"), state.floats("inputs")
        self._weights, self._factor = state.floats("weights"), state.floats("factor")
        self._offset, self._unit = state.numbers("scale")


def _exponentials(left: Matrix, right: Matrix, width: float, parts: int) -> list[Matrix]:
    """Squared exponential kernels ``(n, m)`` of ``width``, half of it, a quarter, …

    Halving the width equals raising to the fourth power, which is much cheaper than another exponential.
    """
    squares = np.square(left).sum(axis=1)[:, None] + np.square(right).sum(axis=1)[None, :]
    distances = np.maximum(squares - 2 * left @ right.T, 0.0)
    kernels = [np.exp(distances * (-0.5 / width**2))]
    for _ in range(parts - 1):
        kernels.append(np.square(np.square(kernels[-1])))
    return kernels


def maximise_likelihood(
    parts: NDArray[np.float64], y: Values, *, jitter: float | Values = JITTER, steps: int = STEPS
) -> Values:
    """Shares ``(k,)`` of the covariances ``parts (k, n, n)`` under which ``y (n,)`` is most likely.

    Maximises the log marginal likelihood with a weak log-normal prior by L-BFGS with exact gradients, in at most
    ``steps`` steps; ``jitter``, one number or ``(n,)``, is added to the diagonal.
    """
    n = len(y)
    flat = parts.reshape(len(parts), n * n)

    def loss(logs: Values) -> tuple[float, Values]:
        shares = np.exp(logs)
        lower = cholesky((shares @ flat).reshape(n, n) + jitter * np.eye(n), lower=True)
        inverse = cho_solve((lower, True), np.eye(n))
        alpha = inverse @ y
        value = 0.5 * float(y @ alpha) + float(np.log(np.diag(lower)).sum())
        gradient = 0.5 * shares * (flat @ (inverse - np.outer(alpha, alpha)).ravel())
        deviation = (logs - PRIOR_MEAN) / PRIOR_STD
        return value + 0.5 * float(deviation @ deviation), gradient + deviation / PRIOR_STD

    start = np.full(len(parts), np.log(0.5 / len(parts)))
    found = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(LEAST, LARGEST)] * len(parts),
        options={"maxiter": steps},
    )
    return np.asarray(np.exp(found.x))
