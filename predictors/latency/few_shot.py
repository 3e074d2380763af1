"""Latency on one device from a few rows, given what to expect of devices.

``latency = typical * (1 + parts + noise)``: the parts (:data:`PARTS`) are linear, each with a normal prior on its
coefficients. How large they and the noise are is not known for a new device; a :class:`Prior` says what is usual.
Its draws are averaged with the weights that the rows give them (Bayesian model averaging), so that a device
unlike the others, or a noisy one, is believed to be so only as far as its rows say it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import stdtrit
from scipy.stats import norm, qmc

from predictors.latency.inputs import Matrix
from predictors.predictor import Values

# Overhead: small nets feel it more. Differences: known devices against their mean. Physical: bound by arithmetic,
# memory or the number of layers. Layers, encoding: something of the device's own.
PARTS = ("overhead", "differences", "physical", "layers", "encoding")
# Log variances of the coefficients of the parts and, last, of the relative noise, where nothing is known.
USUAL = np.log([0.1, 0.7, 0.02, 1e-3, 1e-3, 0.03**2])
USUAL_STD = np.array([1.5, 1.2, 1.5, 1.5, 1.5, 1.5])
LEAST = np.log([1e-3, 0.03, 1e-4, 1e-5, 1e-5, 4e-6])
MOST = np.log([3.0, 10.0, 1.0, 0.1, 0.1, 0.15])
# The mean level is as good as unknown.
WIDE = 1e4
DRAWS, CLIPPED_DRAW = 256, 2.5
KEPT_DRAWS, CHOICE_DRAWS = 32, 8
LEAST_WEIGHT = 0.005
# Hyperparameters are weighed on at most so many rows; above, the most likely draw alone answers.
WEIGHED_ROWS = 200
# A row far from what the others say has a larger error than they: Student's distribution with so many degrees.
ROBUST_DOF, ROBUST_STEPS, ROBUST_ROWS = 4.0, 2, 8
# Shape of the interval: nearly normal, for doubt about the noise is in the average over draws already.
DOF = 30.0
TINY = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """``typical (n,)`` latency of each arch over that of the space, and one matrix ``(n, k)`` a part."""

    typical: Values
    parts: tuple[Matrix, ...]

    def rows(self, index: NDArray[np.int64]) -> Basis:
        """Some of the archs."""
        return Basis(self.typical[index], tuple(part[index] for part in self.parts))

    def products(self, other: Basis) -> Matrix:
        """Covariances ``(parts, n, m)`` for coefficients of variance 1."""
        return np.stack([mine @ its.T for mine, its in zip(self.parts, other.parts, strict=True)])

    def squares(self) -> Matrix:
        """Diagonals ``(parts, n)`` of ``products(self)``."""
        return np.stack([np.square(part).sum(axis=1) for part in self.parts])


@dataclass(frozen=True, eq=False)
class Prior:
    """Mean and spread ``(parts + 1,)`` of the log variances over devices; the last is that of the noise."""

    mean: Values
    std: Values

    @classmethod
    def usual(cls) -> Prior:
        """What is believed where no device is known."""
        return cls(USUAL, USUAL_STD)

    @cached_property
    def draws(self) -> Matrix:
        """Variances ``(DRAWS, parts + 1)`` of equal probability; the same in every call."""
        uniform = qmc.Sobol(len(self.mean), seed=1).random(DRAWS)
        offset = np.clip(norm.ppf(uniform), -CLIPPED_DRAW, CLIPPED_DRAW)
        return np.asarray(np.exp(self.mean + self.std * offset))

    def as_array(self) -> Matrix:
        """What :meth:`from_array` reads back."""
        return np.stack([self.mean, self.std])

    @classmethod
    def from_array(cls, values: Matrix) -> Prior:
        """The prior that :meth:`as_array` wrote."""
        return cls(values[0], values[1])


def candidates(n: int = 256) -> Matrix:
    """Log variances ``(n, parts + 1)`` all over the range that devices may have."""
    return np.asarray(LEAST + (MOST - LEAST) * qmc.Sobol(len(LEAST), seed=0).random(n))


@dataclass(frozen=True, slots=True, eq=False)
class Posteriors:
    """``m`` draws and the same ``n`` rows: variances ``(m, parts + 1)``, inverse Cholesky factors of the
    covariance ``(m, n, n)``, whitened target ``(m, n)`` and log likelihoods ``(m,)`` up to a constant."""

    sizes: Matrix
    whiten: Matrix
    white: Matrix
    evidence: Values

    @classmethod
    def of(cls, sizes: Matrix, products: Matrix, noise: Values, target: Values) -> Posteriors:
        """``noise (n,)`` multiplies each draw's own variance of the noise."""
        n = len(target)
        cover = WIDE + (sizes[:, :-1] @ products.reshape(len(products), n * n)).reshape(-1, n, n)
        cover[:, np.arange(n), np.arange(n)] += sizes[:, -1:] * noise
        factor = np.linalg.cholesky(cover)
        whiten = np.stack([solve_triangular(f, np.eye(n), lower=True, check_finite=False) for f in factor])
        white = whiten @ target
        logs = np.log(factor[:, np.arange(n), np.arange(n)]).sum(axis=1)
        return cls(sizes, whiten, white, -logs - 0.5 * np.square(white).sum(axis=1))

    def rows(self, index: NDArray[np.int64]) -> Posteriors:
        """Some of the draws."""
        return Posteriors(self.sizes[index], self.whiten[index], self.white[index], self.evidence[index])

    def left_out(self, noise: Values) -> Matrix:
        """Residual of each row ``(m, n)`` without it, in the standard deviations of an undisturbed row."""
        precision = np.square(self.whiten).sum(axis=1)
        weights = np.einsum("mij,mi->mj", self.whiten, self.white)
        variance = 1 / precision + self.sizes[:, -1:] * (1 - noise)
        return np.asarray(weights / precision / np.sqrt(np.maximum(variance, TINY)))

    def answer(self, k: int, products: Matrix, squares: Matrix) -> tuple[Values, Values]:
        """Mean and variance ``(n,)`` of a measurement under draw ``k``."""
        sizes = self.sizes[k]
        solved = self.whiten[k] @ (WIDE + np.tensordot(sizes[:-1], products, 1)).T
        own = WIDE + sizes[:-1] @ squares - np.square(solved).sum(axis=0)
        return solved.T @ self.white[k], np.maximum(own, 0.0) + sizes[-1]


def evidences(logs: Matrix, products: Matrix, target: Values) -> Values:
    """Log likelihood ``(m,)`` of ``target (n,)`` for each row of log variances ``(m, parts + 1)``."""
    return Posteriors.of(np.exp(logs), products, np.ones(len(target)), target).evidence


def normalised(logs: Values) -> Values:
    """Weights that add up to 1 from their logarithms."""
    weights = np.exp(logs - logs.max())
    return np.asarray(weights / weights.sum())


class FewShot:
    """Posterior of one device from measured rows ``y (n,)``, ms (see the module)."""

    def __init__(self, basis: Basis, y: Values, prior: Prior) -> None:
        self.basis = basis
        ratio = y / basis.typical
        self.unit = float(np.median(ratio))
        target, draws = ratio / self.unit, prior.draws
        if len(y) > WEIGHED_ROWS:
            some = np.random.default_rng(0).permutation(len(y))[:WEIGHED_ROWS]
            draws = _weigh(basis.rows(some), target[some], draws)[1].sizes[:1]
        self.weights, self.posteriors, self.noise = _weigh(basis, target, draws)

    @property
    def left_out(self) -> Values:
        """Residual of each row ``(n,)`` without it, in predictive standard deviations."""
        return np.asarray(self.posteriors.rows(np.array([0])).left_out(np.ones(len(self.noise)))[0])

    def __call__(self, basis: Basis) -> tuple[Values, Values]:
        """Mean and standard deviation ``(n,)`` of a measurement, ms."""
        products, squares = basis.products(self.basis), basis.squares()
        # As many of the new rows are disturbed as of those that were measured.
        raised = float(self.noise.mean()) - 1
        mean, second = np.zeros(len(basis.typical)), np.zeros(len(basis.typical))
        for k, weight in enumerate(self.weights):
            centre, variance = self.posteriors.answer(k, products, squares)
            mean += weight * centre
            disturbed = raised * self.posteriors.sizes[k, -1]
            second += weight * (variance + disturbed + np.square(centre))
        unit = self.unit * basis.typical
        return unit * mean, unit * np.sqrt(np.maximum(second - np.square(mean), TINY))


def _weigh(basis: Basis, target: Values, draws: Matrix) -> tuple[Values, Posteriors, Values]:
    """Weights and posteriors of the likeliest draws, the best first, and how much each row's noise is raised."""
    products, noise = basis.products(basis), np.ones(len(target))
    steps = ROBUST_STEPS if ROBUST_ROWS <= len(target) <= WEIGHED_ROWS else 0
    for step in range(steps + 1):
        found = Posteriors.of(draws, products, noise, target)
        weights = normalised(found.evidence)
        order = np.argsort(-weights, kind="stable")[:KEPT_DRAWS]
        found, weights = found.rows(order), weights[order] / weights[order].sum()
        if step < steps:
            squares = weights @ np.square(found.left_out(noise))
            noise = np.maximum((ROBUST_DOF + squares) / (ROBUST_DOF + 1), 1.0)
    kept = weights > LEAST_WEIGHT
    return weights[kept] / weights[kept].sum(), found.rows(np.flatnonzero(kept)), noise


def half_width(std: Values) -> Values:
    """Half of the 90 % interval ``(n,)`` before calibration."""
    return np.asarray(std * stdtrit(DOF, 0.95))


def most_informative(basis: Basis, n: int, prior: Prior) -> NDArray[np.int64]:
    """Greedy choice of ``n`` rows: each takes away the most variance of all rows, as a share of what is left.

    Averaged over some draws of the prior, so that the rows serve whatever device comes.
    """
    draws = prior.draws[np.linspace(0, DRAWS - 1, CHOICE_DRAWS).astype(np.int64)]
    products = basis.products(basis)
    left = [WIDE + np.tensordot(sizes[:-1], products, 1) for sizes in draws]
    chosen: list[int] = []
    for _ in range(n):
        gain = np.zeros(len(basis.typical))
        for sizes, cover in zip(draws, left, strict=True):
            own = np.diag(cover)
            gain += np.square(cover).sum(axis=0) / (own + sizes[-1]) / (own + sizes[-1]).sum()
        gain[chosen] = -1.0
        best = int(np.argmax(gain))
        chosen.append(best)
        for k, sizes in enumerate(draws):
            column = left[k][:, best]
            left[k] = left[k] - np.outer(column, column) / (column[best] + sizes[-1])
    return np.array(chosen, dtype=np.int64)
