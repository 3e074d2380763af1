"""What other targets of the same space teach about a new one.

A device is a point in a cloud of devices: its latency over the mean of the known ones is a constant, plus an
overhead that small nets feel more, plus a mixture of how the known devices differ from their mean, plus
something of its own that is linear or smooth in the arch. How large each part is is learned from the known
devices themselves, each in turn playing the new one (empirical Bayes over leave-one-device-out).

Features of a candidate are its encoding, its layers and the *predictions* of the known targets' models. For an
arch that a known target did measure, the prediction is that of a model which never saw it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.special import digamma, stdtrit

from predictors.errors import FitError, ScopeError
from predictors.latency.inputs import Matrix, exponential, inputs_of
from predictors.predictor import Predictor, Values
from supernets.families.family import Family
from supernets.spaces.space import Population

FOLDS = 4
# Populations whose features are kept, for mean and quantile are asked of the same one.
MEMORY, LARGEST_KEPT = 64, 4096
LEVEL_ROWS = 300
PRIOR_ROWS = 120
SCORED_ROWS = 200
CALIBRATION_DRAWS = 3
CHOICE_POOL = 300
# No net is taken to be faster than this share of the typical one when errors are made relative.
FLOOR = 0.2
WIDE = 1e4
SMOOTH_WIDTH = 2.0
CLIP = 4.0
STEPS = 60
# Sizes of the parts over the noise variance where nothing is known, and the log-normal prior around them.
PARTS = ("overhead", "differences", "linear", "smooth")
USUAL = np.log([1.0, 30.0, 3.0, 1.0])
PRIOR_STD = 2.5
LEAST, LARGEST = np.log(1e-4), np.log(1e5)
# A sample this many usual errors off was disturbed if without it most of the misfit of all of them is gone; it
# gets next to no weight. At most one in so many is, and none where there are hundreds.
DISTURBED, DISTURBED_SHARE, IGNORED = 6.0, 0.7, 1e6
ONE_DISTURBED_IN, REWEIGHTED_ROWS = 8, 500


class KnownTarget:
    """A fitted predictor of another target, and models of it that leave each of its own rows out."""

    def __init__(self, predictor: Predictor) -> None:
        archs, y = predictor.data
        self.predictor = predictor
        self.archs, self.y = archs, y
        _, group = np.unique(archs, axis=0, return_inverse=True)
        fold = (np.random.default_rng(0).permutation(int(group.max()) + 1) % FOLDS)[group.ravel()]
        self._fold = {row.tobytes(): int(f) for row, f in zip(archs, fold, strict=True)}
        self._models: list[Predictor] = []
        if min(int((fold != f).sum()) for f in range(FOLDS)) >= predictor.fewest_rows:
            for f in range(FOLDS):
                model = predictor.fresh()
                model.fit(archs[fold != f], y[fold != f])
                self._models.append(model)
        self._memory: dict[bytes, Values] = {}

    def predict(self, archs: Population) -> Values:
        """Latency ``(n,)`` in ms; rows that it measured are predicted by a model that did not see them."""
        key = archs.tobytes()
        if key not in self._memory:
            if len(self._memory) >= MEMORY:
                self._memory.pop(next(iter(self._memory)))
            if len(archs) > LARGEST_KEPT:
                return self._predict(np.ascontiguousarray(archs))
            self._memory[key] = self._predict(np.ascontiguousarray(archs))
        return self._memory[key]

    def _predict(self, archs: Population) -> Values:
        values = self.predictor.predict(archs)[0]
        if self._models:
            seen = np.array([self._fold.get(row.tobytes(), -1) for row in archs])
            for fold, model in enumerate(self._models):
                mine = seen == fold
                if mine.any():
                    values[mine] = model.predict(archs[mine])[0]
        return values


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """Log sizes of the ``PARTS`` over the noise variance, and the inverse-gamma prior of that variance."""

    logs: Values
    shape: float
    rate: float

    def as_array(self) -> Values:
        """What :meth:`from_array` reads back."""
        return np.array([*self.logs, self.shape, self.rate])

    @classmethod
    def from_array(cls, values: Values) -> Prior:
        """The prior that :meth:`as_array` wrote."""
        return cls(np.asarray(values[:-2]), float(values[-2]), float(values[-1]))


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """What the parts of the covariance are made of, for ``n`` archs."""

    typical: Values
    overhead: Values
    differences: Matrix
    inputs: Matrix

    def rows(self, index: NDArray[np.int64]) -> Basis:
        """Some of the archs."""
        return Basis(self.typical[index], self.overhead[index], self.differences[index], self.inputs[index])

    def parts(self, other: Basis) -> Matrix:
        """Covariances ``(4, n, m)`` of the ``PARTS`` with size 1 each."""
        return np.stack(
            [
                np.outer(self.overhead, other.overhead),
                self.differences @ other.differences.T,
                self.inputs @ other.inputs.T,
                exponential(self.inputs, other.inputs, SMOOTH_WIDTH),
            ]
        )

    def covariance(self, other: Basis, prior: Prior) -> Matrix:
        """Covariance ``(n, m)`` over the noise variance, without the noise."""
        return np.asarray(WIDE + np.tensordot(np.exp(prior.logs), self.parts(other), 1))

    def own(self, prior: Prior) -> Values:
        """The diagonal of ``covariance(self, prior)``."""
        sizes = np.exp(prior.logs)
        squares = [
            np.square(self.overhead),
            np.square(self.differences).sum(1),
            np.square(self.inputs).sum(1),
        ]
        return np.asarray(WIDE + sizes[3] + sum(s * q for s, q in zip(sizes[:3], squares, strict=True)))


class FewShot:
    """Posterior of one device, over the typical latency, from a few rows (see the module)."""

    def __init__(self, basis: Basis, y: Values, prior: Prior) -> None:
        self.basis, self.prior = basis, prior
        ratio = y / basis.typical
        self.unit = float(np.median(ratio))
        target = ratio / self.unit
        kernel = basis.covariance(basis, prior)
        noise = np.ones(len(y))
        self._solve(kernel, target, noise)
        for _ in range(len(y) // ONE_DISTURBED_IN if len(y) <= REWEIGHTED_ROWS else 0):
            # How much the misfit falls when a sample is left out.
            fall = np.square(self.left_out) * self.variance
            fall[noise > 1] = 0.0
            worst, misfit = int(np.argmax(fall)), float(target @ self._weights)
            known_error = np.sqrt(prior.rate / prior.shape)
            if fall[worst] < DISTURBED_SHARE * misfit or fall[worst] < (DISTURBED * known_error) ** 2:
                break
            noise[worst] = IGNORED
            self._solve(kernel, target, noise)

    def _solve(self, kernel: Matrix, target: Values, noise: Values) -> None:
        self._factor = cholesky(kernel + np.diag(noise), lower=True)
        self._weights = cho_solve((self._factor, True), target)
        inverse = np.diag(cho_solve((self._factor, True), np.eye(len(target))))
        shape = self.prior.shape + len(target) / 2
        rate = self.prior.rate + 0.5 * float(target @ self._weights)
        self.dof, self.variance = 2 * shape, rate / shape
        self.left_out = self._weights / np.sqrt(inverse * self.variance)

    def __call__(self, basis: Basis) -> tuple[Values, Values]:
        """Mean and scale of Student's distribution with ``dof`` degrees ``(n,)``, ms."""
        cross = basis.covariance(self.basis, self.prior)
        explained = np.square(solve_triangular(self._factor, cross.T, lower=True)).sum(axis=0)
        variance = np.maximum(basis.own(self.prior) - explained, 0.0) + 1
        unit = self.unit * basis.typical
        return unit * (cross @ self._weights), unit * np.sqrt(self.variance * variance)


class KnownTargets:
    """The known targets of a space; none at all is allowed, and then every part has its usual size."""

    def __init__(self, family: Family, targets: Sequence[KnownTarget], prior: Prior | None = None) -> None:
        for target in targets:
            if target.predictor.space.sha256 != family.space().sha256:
                raise ScopeError(f"known targets must be of the space {family.space().sha256!r}, got another")
        self.family, self.targets = family, tuple(targets)
        self._inputs = inputs_of(family)
        self._levels = self._typical_levels()
        self._memory: dict[bytes, Basis] = {}
        self._scales: dict[int, float] = {}
        self.prior = prior or self._learn()

    # --- features --------------------------------------------------------------------------------------

    def _typical_levels(self) -> Values:
        """Median latency ``(k,)`` of each known target on the same archs."""
        if not self.targets:
            return np.empty(0)
        rows = np.unique(np.concatenate([target.archs for target in self.targets]), axis=0)
        rows = rows[np.random.default_rng(0).permutation(len(rows))[:LEVEL_ROWS]]
        return np.array([max(float(np.median(t.predict(rows))), 1e-9) for t in self.targets])

    def basis(self, archs: Population, without: int | None = None) -> Basis:
        """Features of archs ``(n, d)``, as seen without one of the targets."""
        key = archs.tobytes() + bytes([255 if without is None else without % 255])
        if key not in self._memory:
            if len(self._memory) >= MEMORY:
                self._memory.pop(next(iter(self._memory)))
            if len(archs) > LARGEST_KEPT:
                return self._basis(archs, without)
            self._memory[key] = self._basis(archs, without)
        return self._memory[key]

    def _basis(self, archs: Population, without: int | None) -> Basis:
        kept = [k for k in range(len(self.targets)) if k != without]
        shares = np.ones((len(archs), 1))
        if kept:
            shares = np.stack([self.targets[k].predict(archs) / self._levels[k] for k in kept], axis=1)
        typical = np.maximum(shares.mean(axis=1), FLOOR)
        differences = (shares / typical[:, None] - 1) / np.sqrt(shares.shape[1])
        return Basis(typical, 1 / typical - 1, differences, self._inputs(archs))

    # --- what the known targets say about new ones -----------------------------------------------------

    def _learn(self) -> Prior:
        """Sizes of the parts that make the known targets, each seen as new, most likely."""
        if len(self.targets) < 2:
            return Prior(USUAL, 1.5, 1.5 * 0.05**2)
        cases = [self._case(k) for k in range(len(self.targets))]

        def loss(logs: Values) -> tuple[float, Values]:
            deviation = (logs - USUAL) / PRIOR_STD
            value, gradient = 0.5 * float(deviation @ deviation), deviation / PRIOR_STD
            for parts, y in cases:
                part, slope, _ = _unlikeliness(parts, y, logs)
                value, gradient = value + part, gradient + slope
            return value, gradient

        bounds = [(LEAST, LARGEST)] * len(PARTS)
        found = minimize(loss, USUAL, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS})
        noises = np.log([_unlikeliness(parts, y, found.x)[2] for parts, y in cases])
        # Inverse gamma with this mean and variance of the logarithm (trigamma(a) is about 1 / (a - 1/2)).
        shape = float(np.clip(0.5 + 1 / max(float(noises.var(ddof=1)), 1e-3), 1.0, 10.0))
        return Prior(found.x, shape, float(np.exp(noises.mean() + digamma(shape))))

    def _case(self, k: int) -> tuple[Matrix, Values]:
        """Covariances of the parts on some rows of target ``k``, and its latency over the typical one."""
        target = self.targets[k]
        rows = np.random.default_rng(k).permutation(len(target.y))[:PRIOR_ROWS]
        basis = self.basis(target.archs[rows], without=k)
        own = target.predict(target.archs[rows])
        error = (target.y[rows] - own) / basis.typical
        spread = 1.4826 * float(np.median(np.abs(error)))
        ratio = own / basis.typical + np.clip(error, -CLIP * spread, CLIP * spread)
        return basis.parts(basis), np.asarray(ratio / np.median(ratio))

    def scale(self, n: int) -> float:
        """Factor on the interval of ``n`` samples that makes it hold on known targets seen as new.

        The 90 % quantile, every target counting alike, of errors over Student's own.
        """
        if len(self.targets) < 2:
            return 1.0
        if n not in self._scales:
            scores = [self._scores(k, n) for k in range(len(self.targets))]
            usable = [s for s in scores if len(s)]
            weights = np.concatenate([np.full(len(s), 1 / len(s)) for s in usable]) if usable else np.empty(0)
            self._scales[n] = _weighted_quantile(np.concatenate(usable), weights, 0.9) if usable else 1.0
        return self._scales[n]

    def _scores(self, k: int, n: int) -> Values:
        """Sizes of errors over the half-width of the 90 % interval, target ``k`` seen as new."""
        target, found = self.targets[k], []
        for draw in range(CALIBRATION_DRAWS):
            order = np.random.default_rng((k, draw)).permutation(len(target.y))
            pool, rest = np.split(
                order[: CHOICE_POOL // 2 + SCORED_ROWS], [min(len(order) // 2, CHOICE_POOL // 2)]
            )
            if len(pool) < n or not len(rest):
                break
            basis = self.basis(target.archs[pool], without=k)
            chosen = _most_informative(basis, n, self.prior)
            model = FewShot(basis.rows(chosen), target.y[pool][chosen], self.prior)
            mean, std = model(self.basis(target.archs[rest], without=k))
            found.append(np.abs(target.y[rest] - mean) / (std * stdtrit(model.dof, 0.95)))
        return np.concatenate(found) if found else np.empty(0)

    def choose(self, n: int, pool: Population, rng: np.random.Generator) -> NDArray[np.int64]:
        """Rows ``(n,)`` of ``pool`` to measure: together they leave the least variance over the pool.

        Raises:
            FitError: fewer archs in the pool than asked for.
        """
        if not 1 <= n <= len(pool):
            raise FitError(f"n must be from 1 to the {len(pool)} archs of the pool, got {n}")
        kept = rng.permutation(len(pool))[: max(CHOICE_POOL, n)]
        return np.asarray(kept[_most_informative(self.basis(pool[kept]), n, self.prior)])


def _unlikeliness(parts: Matrix, y: Values, logs: Values) -> tuple[float, Values, float]:
    """Negative log likelihood of ``y (n,)``, its gradient, and the best noise variance."""
    n, sizes = len(y), np.exp(logs)
    lower = cholesky(WIDE + np.tensordot(sizes, parts, 1) + np.eye(n), lower=True)
    inverse = cho_solve((lower, True), np.eye(n))
    weights = inverse @ y
    variance = max(float(y @ weights) / n, 1e-12)
    value = 0.5 * n * np.log(variance) + float(np.log(np.diag(lower)).sum())
    slope = 0.5 * (inverse - np.outer(weights, weights) / variance)
    return value, sizes * np.tensordot(parts, slope, 2), variance


def _most_informative(basis: Basis, n: int, prior: Prior) -> NDArray[np.int64]:
    """Greedy choice of ``n`` rows: each takes away the most variance, summed over all rows."""
    left = basis.covariance(basis, prior)
    chosen: list[int] = []
    for _ in range(n):
        gain = np.square(left).sum(axis=0) / (np.diag(left) + 1)
        gain[chosen] = -1.0
        best = int(np.argmax(gain))
        chosen.append(best)
        left = left - np.outer(left[:, best], left[best]) / (left[best, best] + 1)
    return np.array(chosen, dtype=np.int64)


def _weighted_quantile(values: Values, weights: Values, p: float) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][min(int(np.searchsorted(total, p * total[-1])), len(values) - 1)])
