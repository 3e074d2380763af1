"""A Gaussian process over groups of features, fitted to the first tens of evaluations of a search.

Each group (choices, how often each choice occurs, sizes, …) contributes a linear kernel and squared exponentials
of fixed widths. Their weights maximise the marginal likelihood (Rasmussen & Williams 2006, ch. 5), so a group
that explains nothing gets no weight. Rows with large leave-one-out residuals are down-weighted, and the
standard deviation is calibrated on these residuals.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular

from predictors.quality.gaussian_process import maximise_likelihood
from supernets.spaces.space import Population, Space

Values = NDArray[np.float64]
Matrix = NDArray[Any]
Costs = Callable[[Population], Matrix]

LIKELIHOOD_ROWS, STEPS = 128, 30
GROWTH = 1.25  # shares of the kernels are estimated again when there are this many times more rows
LEAST_SHARE = 0.003  # of all kernels together; less is left out
JITTER = 1e-4  # of the variance: features are in single precision
OUTLYING = 2.5  # standard deviations, left out, from which on a row counts less
ROUNDS = 3
MOST_WIDENED = 4.0  # standard deviations that one row, left out, may count in how wide intervals become
CLIP = 2.0
BLOCK = 4096
SCALE_SAMPLE = 2048


@dataclass(frozen=True)
class Group:
    """Features that belong together, of total variance about 1, and the widths of their exponentials."""

    values: Matrix
    widths: tuple[float, ...]


def scaled(values: Matrix) -> Matrix:
    """Columns centred, and the group divided by the root of its total variance; single precision."""
    centred = values - values.mean(axis=0)
    return np.asarray(centred / max(float(np.sqrt(centred.var(axis=0).sum())), 1e-12), dtype=np.float32)


def counts(space: Space, archs: Population) -> Matrix:
    """How often each choice occurs, over all active axes of a kind ``(n, choices of all kinds)``.

    Latency is nearly a sum over layers, and equal layers cost about the same wherever they are.
    """
    one_hot = space.features(archs)
    names: dict[tuple[str, object], int] = {}
    column = [names.setdefault((axis.kind, c), len(names)) for axis in space.axes for c in axis.choices]
    table = np.zeros((len(archs), len(names)), dtype=np.float32)
    for source, at in enumerate(column):
        table[:, at] += one_hot[:, source]
    return table


def space_groups(space: Space, sizes: Costs | None = None) -> Callable[[Population], list[Group]]:
    """Features of any space: how often each choice occurs, the choices, and ``sizes(archs) (n, k) > 0`` if given.

    Scaled by a fixed sample of the space, so that every call scales alike.
    """
    sample = space.sample(np.random.default_rng(0), SCALE_SAMPLE)
    kinds: list[tuple[Callable[[Population], Matrix], tuple[float, ...]]] = [
        (lambda archs: counts(space, archs), (1.0,)),
        (space.features, (2.0, 1.0, 0.5)),
    ]
    if sizes is not None:
        kinds += [(sizes, ()), (lambda archs: np.log(sizes(archs)), (2.0, 1.0))]
    scales = []
    for values, _ in kinds:
        raw = np.asarray(values(sample), dtype=np.float64)
        scales.append((raw.mean(axis=0), max(float(np.sqrt(raw.var(axis=0).sum())), 1e-12)))

    def groups(archs: Population) -> list[Group]:
        return [
            Group(((values(archs) - mean) / spread).astype(np.float32), widths)
            for (values, widths), (mean, spread) in zip(kinds, scales, strict=True)
        ]

    return groups


class FeatureProcess:
    """A surrogate; ``groups(archs)`` gives the features of archs, scaled alike on every call.

    ``log_of`` makes it model ``log(log_of - sign * y)``: with the best possible accuracy that is the log of
    the error, whose differences near the top count as much as larger ones at the bottom. ``cache`` keeps
    shares between instances (they are a function of the rows alone, so that nothing depends on it).
    """

    def __init__(
        self,
        groups: Callable[[Population], Sequence[Group]],
        *,
        log_of: float | None = None,
        sign: float = 1.0,
        cache: dict[str, Values] | None = None,
    ) -> None:
        self._groups, self._log_of, self._sign = groups, log_of, sign
        self._cache = {} if cache is None else cache
        self._inputs: Sequence[Group] = ()
        self._kept: dict[int, float] = {}
        self._mean, self._unit, self._noise, self._wider = 0.0, 1.0, 1.0, 1.0
        self._weights, self._factor = np.zeros(0), np.zeros((0, 0))
        self._left_out = np.zeros(0), np.ones(0)

    # --- fit ---------------------------------------------------------------------------------------

    def fit(self, archs: Population, y: Values) -> None:
        """Learn from archs ``(n, d)`` and values ``(n,)``, ``n >= 2``."""
        y = np.asarray(y, dtype=np.float64)
        first = milestone(len(y))
        z = y if self._log_of is None else log_error(y, y[:first], self._log_of, self._sign)
        self._mean, self._unit = float(z[:first].mean()), max(float(z[:first].std()), 1e-12)
        target = (z - self._mean) / self._unit
        self._inputs = self._groups(archs)
        # In single precision the kernels of many rows need not be positive definite.
        exact = [Group(group.values.astype(np.float64), group.widths) for group in self._inputs]
        name = hashlib.sha256(archs[:first].tobytes() + y[:first].tobytes()).hexdigest()
        if name not in self._cache:
            self._cache[name] = self._likely(exact, target[:first])
        shares = self._cache[name]
        kernels = shares[:-1]
        kept = np.flatnonzero(kernels > LEAST_SHARE * kernels.sum())
        self._kept = dict(zip(kept.tolist(), kernels[kept].tolist(), strict=True))
        self._noise = float(shares[-1]) + JITTER
        cover = self._cover(exact, exact)
        doubt = np.ones(len(target))
        for _ in range(ROUNDS):
            doubt = _doubts(cover, self._noise, doubt, target)
        self._factor = cholesky(cover + np.diag(self._noise * doubt), lower=True)
        self._weights = cho_solve((self._factor, True), target)
        self._left_out = self._without_each(self._noise * (doubt - 1.0))
        self._wider = self._widening()

    def _widening(self) -> float:
        """Factor on standard deviations: root mean square of rows left out, at least 1."""
        errors, deviations = self._left_out
        left_out = np.abs(errors) / deviations
        return max(float(np.sqrt(np.mean(np.square(np.minimum(left_out, MOST_WIDENED))))), 1.0)

    def _without_each(self, forgiven: Values) -> tuple[Values, Values]:
        """Error ``(n,)`` of the prediction of each row from all others, and its deviation, in units of the fit.

        Rows that count less would not be expected at all otherwise: ``forgiven (n,)`` is the noise that
        each was granted beyond that of others, and which the next row will not be granted.
        """
        inverse = solve_triangular(self._factor, np.eye(len(forgiven)), lower=True)
        precision = np.square(inverse).sum(axis=0)
        usual = np.maximum(1.0 / precision - forgiven, self._noise)
        return self._weights / precision, np.sqrt(usual)

    def left_out(self) -> Values:
        """Log density ``(n,)`` of each fitted row, predicted from all others; see ``predictors.quality.elsewhere``."""
        errors, deviations = self._left_out
        deviations = self._wider * deviations
        return np.asarray(-0.5 * np.square(errors / deviations) - np.log(self._unit * deviations))

    def _likely(self, inputs: Sequence[Group], target: Values) -> Values:
        """Shares of the kernels and the noise on at most ``LIKELIHOOD_ROWS`` rows, outlying ones counting less."""
        some = np.linspace(0, len(target) - 1, min(len(target), LIKELIHOOD_ROWS)).astype(np.int64)
        few = [Group(group.values[some], group.widths) for group in inputs]
        kernels = np.stack(list(self._parts(few, few).values()))
        doubt = np.ones(len(some))
        for _ in range(ROUNDS):
            parts = np.concatenate([kernels, np.diag(doubt)[None]])
            shares = maximise_likelihood(parts, target[some], jitter=JITTER, steps=STEPS)
            cover = np.tensordot(shares[:-1], kernels, 1)
            before, doubt = doubt, _doubts(cover, float(shares[-1]) + JITTER, doubt, target[some])
            if np.array_equal(before, doubt):
                break
        return shares

    def _parts(
        self, left: Sequence[Group], right: Sequence[Group], wanted: set[int] | None = None
    ) -> dict[int, Matrix]:
        """Kernels ``(n, m)`` by number: for each group a linear one and one a width; only ``wanted`` if given."""
        parts: dict[int, Matrix] = {}
        number = 0
        for a, b in zip(left, right, strict=True):
            here = {k for k in range(1 + len(a.widths)) if wanted is None or number + k in wanted}
            if here:
                product = a.values @ b.values.T
                if 0 in here:
                    parts[number] = product
                if here - {0}:
                    squares = np.square(a.values).sum(axis=1)[:, None] + np.square(b.values).sum(axis=1)[None]
                    squares -= 2 * product
                    np.maximum(squares, 0.0, out=squares)
                    for k in sorted(here - {0}):
                        parts[number + k] = np.exp(squares * squares.dtype.type(-0.5 / a.widths[k - 1] ** 2))
            number += 1 + len(a.widths)
        return parts

    def _cover(self, left: Sequence[Group], right: Sequence[Group]) -> Matrix:
        dtype = left[0].values.dtype
        total = np.zeros((len(left[0].values), len(right[0].values)), dtype=dtype)
        for number, part in self._parts(left, right, set(self._kept)).items():
            part *= dtype.type(self._kept[number])
            total += part
        return total

    # --- predict -----------------------------------------------------------------------------------

    def predict(self, archs: Population) -> tuple[Values, Values]:
        """Mean and standard deviation ``(n,)`` of the value that an evaluation would give."""
        mean, std = np.empty(len(archs)), np.empty(len(archs))
        factor, weights = self._factor.astype(np.float32), self._weights.astype(np.float32)
        for start in range(0, len(archs), BLOCK):
            block = slice(start, start + BLOCK)
            inputs = self._groups(archs[block])
            cross = self._cover(self._inputs, inputs)
            explained = np.square(solve_triangular(factor, cross, lower=True, check_finite=False)).sum(axis=0)
            mean[block] = weights @ cross
            std[block] = np.sqrt(np.maximum(self._own(inputs) - explained, 0.0) + self._noise)
        mean, std = self._mean + self._unit * mean, self._wider * self._unit * std
        if self._log_of is None:
            return mean, std
        centre = np.exp(mean)
        return self._sign * (self._log_of - centre), centre * std

    def _own(self, inputs: Sequence[Group]) -> Matrix:
        """Prior variance ``(n,)`` of each arch."""
        own, number = np.zeros(len(inputs[0].values)), 0
        for group in inputs:
            own += self._kept.get(number, 0.0) * np.square(group.values).sum(axis=1)
            own += sum(self._kept.get(number + 1 + k, 0.0) for k in range(len(group.widths)))
            number += 1 + len(group.widths)
        return own

    def quantile(self, archs: Population, p: float) -> Values:
        """Quantile of the normal distribution that :meth:`predict` describes."""
        mean, std = self.predict(archs)
        return mean + std * NormalDist().inv_cdf(p)


def log_error(y: Values, first: Values, best: float, sign: float) -> Values:
    """Logarithm ``(n,)`` of what is missing to the ``best`` value; the scale is that of the ``first`` values."""
    z, early = (np.log(np.maximum(best - sign * v, 1e-3)) for v in (y, first))
    # Nets that hardly learn would drown the others: how bad they are does not matter.
    middle = float(np.median(early))
    return np.asarray(np.minimum(z, middle + CLIP * (middle - early.min())))


def milestone(n: int) -> int:
    """The largest of 10, 13, 17 … (each ``GROWTH`` times the last) that is not above ``n``; ``n`` where less."""
    mark = 10
    while int(np.ceil(mark * GROWTH)) <= n:
        mark = int(np.ceil(mark * GROWTH))
    return min(mark, n)


def _doubts(cover: Matrix, noise: float, doubt: Values, target: Values) -> Values:
    """Factors ``(n,)`` on the noise of rows: larger for those that lie far off when left out."""
    factor = cholesky(cover + np.diag(noise * doubt), lower=True)
    inverse = solve_triangular(factor, np.eye(len(target)), lower=True)
    # Rasmussen & Williams (5.12): residual left out over its standard deviation.
    left_out = np.abs(inverse.T @ (inverse @ target)) / np.sqrt(np.square(inverse).sum(axis=0))
    return np.asarray(doubt * np.square(np.maximum(left_out / OUTLYING, 1.0)))
