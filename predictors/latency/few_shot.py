"""Latency on one device from a few rows and a prior over devices.

``latency = typical * (1 + parts + noise)``, or ``typical * exp(parts + noise)``: the parts (:data:`PARTS`) are
Gaussian processes, most of them linear. Their sizes and the noise are unknown for a new device; a
:class:`Prior` describes the usual sizes. Draws from it are averaged, weighted by the likelihood of the rows (Bayesian
model averaging). A device is treated as unusual or noisy only as far as its rows support it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit
from scipy.stats import norm, qmc

from predictors.latency.inputs import Matrix, exponential
from predictors.predictor import Values

# Overhead: affects small networks more. Differences: source devices against their mean. Physical: arithmetic, memory
# or the number of layers. Layers, encoding: device-specific effects proportional to latency. Own layers, own encoding:
# device-specific effects independent of it, such as costs of operations. Smooth: any smooth function.
PARTS = (
    "overhead",
    "differences",
    "physical",
    "layers",
    "encoding",
    "own_layers",
    "own_encoding",
    "smooth",
)
# Log variances of the coefficients of the parts and, last, of the relative noise, without source devices.
NONE = 1e-9
USUAL = np.log([0.1, 0.7, 0.02, 1e-3, 1e-3, NONE, NONE, NONE, 0.03**2])
USUAL_STD = np.array([1.5, 1.2, 1.5, 1.5, 1.5, 0, 0, 0, 1.5])
# A device unlike all others: its device-specific parts are large.
UNLIKE = np.log([0.1, 0.2, 0.1, 0.01, 0.01, 0.1, 0.1, 0.1, 0.06**2])
UNLIKE_STD = np.array([1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5])
# The same for models of the logarithm, in which operations do not add up.
UNLIKE_LOG = np.log([0.1, 0.2, 0.1, 0.1, 0.1, NONE, NONE, 0.1, 0.06**2])
LEAST = np.log([1e-3, 0.03, 1e-4, 1e-5, 1e-5, NONE, NONE, NONE, 4e-6])
MOST = np.log([3.0, 10.0, 1.0, 0.1, 0.1, NONE, NONE, NONE, 0.15])
# Prior probability that a new device is unlike all others, in a sum or in a product.
UNLIKE_SHARE, UNLIKE_LOG_SHARE = 0.07, 0.03
# The prior of the mean level is practically flat.
WIDE = 1e4
DRAWS, UNLIKE_DRAWS, CLIPPED_DRAW = 256, 128, 2.5
KEPT_DRAWS, CHOICE_DRAWS = 48, 8
# One in this many samples is drawn at random.
RANDOM_SHARE = 3
# Draws less likely than the best by this log likelihood are omitted.
LEAST_WEIGHT = 0.01
# Draws are weighted on at most this many rows; above, only the most likely draw is used.
WEIGHED_ROWS, MANY_ROWS = 200, 60
# Outliers have larger errors: degrees of freedom of Student's distribution.
ROBUST_DOF, ROBUST_STEPS, ROBUST_ROWS = 4.0, 2, 8
# Shape of the interval: nearly normal, because the average over draws already covers the uncertainty of the noise.
DOF = 30.0
SMOOTH_WIDTH = 1.0
LEAST_RATIO = 1e-3
LEAST_SPREAD = 0.01
TINY = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """``typical (n,)`` latency of each arch over that of the space, one matrix ``(n, k)`` per linear part, and
    ``inputs (n, k)`` of the smooth part."""

    typical: Values
    parts: tuple[Matrix, ...]
    inputs: Matrix

    def rows(self, index: NDArray[np.int64]) -> Basis:
        """Some of the archs."""
        return Basis(self.typical[index], tuple(part[index] for part in self.parts), self.inputs[index])

    def products(self, other: Basis) -> Matrix:
        """Covariances ``(parts, n, m)`` for coefficients of variance 1."""
        linear = [mine @ its.T for mine, its in zip(self.parts, other.parts, strict=True)]
        return np.stack([*linear, exponential(self.inputs, other.inputs, SMOOTH_WIDTH)])

    def squares(self) -> Matrix:
        """Diagonals ``(parts, n)`` of ``products(self)``."""
        linear = [np.square(part).sum(axis=1) for part in self.parts]
        return np.stack([*linear, np.ones(len(self.typical))])


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Variances ``(m, parts + 1)``, log weights ``(m,)``, and which draws model the logarithm ``(m,)``."""

    sizes: Matrix
    weights: Values
    logarithmic: NDArray[np.bool_]

    def __getitem__(self, index: NDArray[np.int64] | slice) -> Draws:
        return Draws(self.sizes[index], self.weights[index], self.logarithmic[index])


@dataclass(frozen=True, eq=False)
class Prior:
    """Mean and spread ``(parts + 1,)`` of the log variances over devices like the source devices; the last is that
    of the noise. A small share of devices is unlike all of them."""

    mean: Values
    std: Values

    @classmethod
    def usual(cls) -> Prior:
        """The prior without source devices."""
        return cls(USUAL, USUAL_STD)

    @cached_property
    def draws(self) -> Draws:
        """Draws from the prior, the same in every call."""
        kinds = (
            (self.mean, self.std, 1 - UNLIKE_SHARE - UNLIKE_LOG_SHARE, DRAWS),
            (UNLIKE, UNLIKE_STD, UNLIKE_SHARE, UNLIKE_DRAWS),
            (UNLIKE_LOG, UNLIKE_STD, UNLIKE_LOG_SHARE, UNLIKE_DRAWS),
        )
        sizes = []
        for mean, std, _, n in kinds:
            uniform = qmc.Sobol(len(mean), seed=1).random(n)
            offset = np.clip(norm.ppf(uniform), -CLIPPED_DRAW, CLIPPED_DRAW)
            sizes.append(np.exp(mean + std * offset))
        counts = [n for *_, n in kinds]
        weights = np.repeat([np.log(share / n) for _, _, share, n in kinds], counts)
        return Draws(np.concatenate(sizes), weights, np.repeat([False, False, True], counts))

    def as_array(self) -> Matrix:
        """The array for :meth:`from_array`."""
        return np.stack([self.mean, self.std])

    @classmethod
    def from_array(cls, values: Matrix) -> Prior:
        """The prior from an :meth:`as_array`."""
        return cls(values[0], values[1])


def candidates(n: int = 256) -> Matrix:
    """Log variances ``(n, parts + 1)`` over the whole range that devices may have."""
    return np.asarray(LEAST + (MOST - LEAST) * qmc.Sobol(len(LEAST), seed=0).random(n))


@dataclass(frozen=True, slots=True, eq=False)
class Posteriors:
    """``m`` draws and the same ``n`` rows: inverse Cholesky factors of the covariance ``(m, n, n)``, whitened
    target ``(m, n)`` and log likelihoods ``(m,)`` up to a constant, including the weights of the draws."""

    draws: Draws
    whiten: Matrix
    white: Matrix
    evidence: Values

    @classmethod
    def of(cls, draws: Draws, products: Matrix, noise: Values, ratio: Values) -> Posteriors:
        """``ratio (n,)`` of latency to the typical one; ``noise (n,)`` multiplies the noise variance of each draw."""
        n, sizes = len(ratio), draws.sizes
        logs = np.log(np.maximum(ratio, LEAST_RATIO))
        target = np.where(draws.logarithmic[:, None], logs, ratio)
        cover = WIDE + (sizes[:, :-1] @ products.reshape(len(products), n * n)).reshape(-1, n, n)
        cover[:, np.arange(n), np.arange(n)] += sizes[:, -1:] * noise
        factor = np.linalg.cholesky(cover)
        whiten = np.linalg.inv(factor)
        white = np.einsum("mij,mj->mi", whiten, target)
        likely = -np.log(factor[:, np.arange(n), np.arange(n)]).sum(axis=1) - 0.5 * np.square(white).sum(
            axis=1
        )
        # Converts the density of the logarithm to that of the ratio.
        likely -= np.where(draws.logarithmic, logs.sum(), 0.0)
        return cls(draws, whiten, white, likely + draws.weights)

    def rows(self, index: NDArray[np.int64]) -> Posteriors:
        """Some of the draws."""
        return Posteriors(self.draws[index], self.whiten[index], self.white[index], self.evidence[index])

    def left_out(self, noise: Values) -> Matrix:
        """Leave-one-out residual of each row ``(m, n)``, in standard deviations of a row with usual noise."""
        precision = np.square(self.whiten).sum(axis=1)
        weights = np.einsum("mij,mi->mj", self.whiten, self.white)
        variance = 1 / precision + self.draws.sizes[:, -1:] * (1 - noise)
        return np.asarray(weights / precision / np.sqrt(np.maximum(variance, TINY)))

    def answer(self, k: int, products: Matrix, squares: Matrix) -> tuple[Values, Values]:
        """Mean and variance ``(n,)`` of a measurement (of its logarithm) under draw ``k``."""
        sizes = self.draws.sizes[k]
        solved = self.whiten[k] @ (WIDE + np.tensordot(sizes[:-1], products, 1)).T
        own = WIDE + sizes[:-1] @ squares - np.square(solved).sum(axis=0)
        return solved.T @ self.white[k], np.maximum(own, 0.0) + sizes[-1]


def evidences(logs: Matrix, products: Matrix, ratio: Values) -> Values:
    """Log likelihood ``(m,)`` of ``ratio (n,)`` for each row of log variances ``(m, parts + 1)``."""
    draws = Draws(np.exp(logs), np.zeros(len(logs)), np.zeros(len(logs), dtype=bool))
    return Posteriors.of(draws, products, np.ones(len(ratio)), ratio).evidence


def normalised(logs: Values) -> Values:
    """Normalised weights from their logarithms."""
    weights = np.exp(logs - logs.max())
    return np.asarray(weights / weights.sum())


class FewShot:
    """Posterior of one device from measured rows ``y (n,)``, ms (see the module docstring)."""

    def __init__(self, basis: Basis, y: Values, prior: Prior) -> None:
        self.basis = basis
        ratio = y / basis.typical
        self.unit = float(np.median(ratio))
        ratio, draws = ratio / self.unit, prior.draws
        if len(y) > MANY_ROWS:
            draws = draws[:: 1 + len(y) // MANY_ROWS]
        if len(y) > WEIGHED_ROWS:
            some = np.random.default_rng(0).permutation(len(y))[:WEIGHED_ROWS]
            draws = _weigh(basis.rows(some), ratio[some], draws)[1].draws[:1]
        self.weights, self.posteriors, self.noise = _weigh(basis, ratio, draws)

    @property
    def left_out(self) -> Values:
        """Leave-one-out residual of each row ``(n,)``, in predictive standard deviations."""
        return np.asarray(self.posteriors.rows(np.array([0])).left_out(np.ones(len(self.noise)))[0])

    def __call__(self, basis: Basis) -> tuple[Values, Values]:
        """Mean and standard deviation ``(n,)`` of a measurement, ms."""
        products, squares = basis.products(self.basis), basis.squares()
        # New rows are assumed to be disturbed as often as the measured ones.
        raised = float(self.noise.mean()) - 1
        mean, second = np.zeros(len(basis.typical)), np.zeros(len(basis.typical))
        draws = self.posteriors.draws
        for k, weight in enumerate(self.weights):
            centre, variance = self.posteriors.answer(k, products, squares)
            variance = variance + raised * draws.sizes[k, -1]
            if draws.logarithmic[k]:
                centre = np.exp(np.clip(centre, -5, 5))
                variance = np.square(centre) * variance
            mean += weight * centre
            second += weight * (variance + np.square(centre))
        unit = self.unit * basis.typical
        return unit * mean, unit * np.sqrt(np.maximum(second - np.square(mean), TINY))


def _weigh(basis: Basis, ratio: Values, draws: Draws) -> tuple[Values, Posteriors, Values]:
    """Weights and posteriors of the most likely draws, best first, and the noise factor of each row.

    Outliers can make all other rows look wrong, so there are two starting points: usual noise for every row, or only
    for rows near the typical latency. The more likely result is used.
    """
    products, even = basis.products(basis), np.ones(len(ratio))
    if not ROBUST_ROWS <= len(ratio) <= WEIGHED_ROWS:
        return _kept(Posteriors.of(draws, products, even, ratio), even)
    spread = max(1.4826 * float(np.median(np.abs(ratio - 1))), LEAST_SPREAD)
    found = [
        _reweigh(products, ratio, draws, noise) for noise in (even, _raised(np.square((ratio - 1) / spread)))
    ]
    return max(found, key=lambda item: item[0])[1:]


def _reweigh(
    products: Matrix, ratio: Values, draws: Draws, noise: Values
) -> tuple[float, Values, Posteriors, Values]:
    """From one starting point: its log likelihood, and the result of :func:`_weigh`."""
    for _ in range(ROBUST_STEPS):
        weights, found, _ = _kept(Posteriors.of(draws, products, noise, ratio), noise)
        noise = _raised(weights @ np.square(found.left_out(noise)))
    found = Posteriors.of(draws, products, noise, ratio)
    # Student's distribution is normal noise with gamma-distributed precision.
    doubt = float((-(ROBUST_DOF / 2 - 1) * np.log(noise) - ROBUST_DOF / 2 / noise).sum())
    return float(np.logaddexp.reduce(found.evidence)) + doubt, *_kept(found, noise)


def _raised(squares: Values) -> Values:
    """Factors ``(n,)`` on the noise of rows with these squared residuals, in standard deviations."""
    return np.maximum((ROBUST_DOF + squares) / (ROBUST_DOF + 1), 1.0)


def _kept(found: Posteriors, noise: Values) -> tuple[Values, Posteriors, Values]:
    weights = normalised(found.evidence)
    order = np.argsort(-weights, kind="stable")[:KEPT_DRAWS]
    order = order[weights[order] > LEAST_WEIGHT * weights[order[0]]]
    return weights[order] / weights[order].sum(), found.rows(order), noise


def half_width(std: Values) -> Values:
    """Half of the 90 % interval ``(n,)`` before calibration."""
    return np.asarray(std * stdtrit(DOF, 0.95))


def most_informative(basis: Basis, n: int, prior: Prior) -> NDArray[np.int64]:
    """Greedy selection of ``n`` rows: each reduces the remaining variance of all rows most, relatively.

    Averaged over some draws of the prior, so that the rows suit any device.
    """
    draws = prior.draws.sizes[np.linspace(0, DRAWS - 1, CHOICE_DRAWS).astype(np.int64)]
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


def telling_rows(basis: Basis, n: int, prior: Prior, rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows ``(n,)`` to measure: two thirds by :func:`most_informative`, which come first, the others at random.

    Rows that are informative about devices like the source devices lie at the ends of the space. On an unusual
    device these are atypical, and random rows represent most archs.
    """
    drawn = n // RANDOM_SHARE
    chosen = most_informative(basis, n - drawn, prior)
    rest = np.setdiff1d(np.arange(len(basis.typical)), chosen)
    return np.concatenate([chosen, rng.permutation(rest)[:drawn]])
