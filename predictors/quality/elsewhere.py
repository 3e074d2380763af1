"""Quality here, given evaluations of the same space on other data or by other supernets.

Networks that are good on one data set are mostly good on another. A model of the evaluations elsewhere is
therefore a prior mean, up to offset and slope, and only the residual has to be learned here::

    value(arch) = offset + slope * prior(arch) + residual(arch)

A prior may be wrong. One process is fitted without a prior and one for the residual of each prior; their
predictions are mixed with weights that are proportional to how probable each makes the rows when it has not seen
them (leave-one-out densities, Rasmussen & Williams 2006, ch. 5.4.2). The weight of a prior without information
about this space is near 0 after about twenty rows, and what remains is the process without a prior.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from supernets.spaces.space import Population

Values = NDArray[np.float64]
Prior = Callable[[Population], Values]

PULL = 50.0
"""Number of rows that the expected slope counts as."""
TRUST = 1.0
"""Log odds of a prior before any row."""
MOST_DENSITY = 4.0
"""One row changes the logarithm of the odds of a prior by at most so much."""
NEGLIGIBLE = 1e-3
"""A process with less weight is left out of the predictions."""
TINY = 1e-12


class Process(Protocol):
    """A model of values that can judge itself by the rows that it was fitted to."""

    def fit(self, archs: Population, y: Values) -> None:
        """Fit to archs ``(n, d)`` and values ``(n,)``."""

    def predict(self, archs: Population) -> tuple[Values, Values]:
        """Mean and standard deviation ``(n,)``."""

    def left_out(self) -> Values:
        """Log density ``(n,)`` of the value of each fitted row, predicted from all other rows."""


@dataclass(frozen=True, slots=True)
class Line:
    """``offset + slope * prior``, in the unit of the values."""

    offset: float
    slope: float

    @classmethod
    def through(cls, prior: Values, y: Values) -> Line:
        """The line through rows ``(n,)``; the slope is pulled towards the ratio of the spreads, which is positive.

        The less a prior has to do with the values, the further is the slope from the best one. This is intended:
        a prior is used as it is or not at all, so that a few rows are enough to decide.
        """
        x, n = prior - prior.mean(), len(y)
        variance = max(float(x @ x) / n, TINY)
        expected = float(y.std()) / np.sqrt(variance)
        slope = (float(x @ (y - y.mean())) / variance + PULL * expected) / (n + PULL)
        return cls(float(y.mean()) - slope * float(prior.mean()), slope)

    def __call__(self, prior: Values) -> Values:
        """Expected values ``(n,)``."""
        return self.offset + self.slope * prior


def odds(densities: Sequence[Values]) -> Values:
    """Weights ``(k,)`` of ``k`` models by the log densities ``(n,)`` of left-out rows; the first is the reference."""
    gains = [np.clip(each - densities[0], -MOST_DENSITY, MOST_DENSITY).sum() + TRUST for each in densities]
    return np.asarray(softmax(np.array([0.0, *gains[1:]])))


def mixed(weights: Values, parts: Sequence[tuple[Values, Values]]) -> tuple[Values, Values]:
    """Mean and standard deviation ``(n,)`` of a mixture of predictions."""
    means, stds = (np.stack(column) for column in zip(*parts, strict=True))
    shares = weights[:, None] / weights.sum()
    mean = (shares * means).sum(axis=0)
    variance = (shares * (np.square(stds) + np.square(means - mean))).sum(axis=0)
    return np.asarray(mean), np.sqrt(variance)


class WithPriors:
    """A process, mixed with processes of the residuals of ``priors``; see the module docstring.

    ``make`` returns an unfitted process for the prior with this number; 0 is that without a prior. ``weights
    (1 + len(priors),)`` sum to 1 after a fit; the first is that of the process without a prior.
    """

    def __init__(self, make: Callable[[int], Process], priors: Sequence[Prior]) -> None:
        self._make, self._priors = make, list(priors)
        self._processes: list[Process] = []
        self.lines: list[Line] = []
        self.weights = np.ones(1)

    def fit(self, archs: Population, y: Values) -> None:
        """Fit all processes to archs ``(n, d)`` and values ``(n,)``."""
        expected = [prior(archs) for prior in self._priors]
        self.lines = [Line.through(each, y) for each in expected]
        self._processes = [self._make(number) for number in range(1 + len(self._priors))]
        self._processes[0].fit(archs, y)
        for process, line, each in zip(self._processes[1:], self.lines, expected, strict=True):
            process.fit(archs, y - line(each))
        self.weights = odds([process.left_out() for process in self._processes])

    def restore(self, weights: Values, lines: Sequence[Line]) -> None:
        """Predict as after the fit that gave these; ``make`` returns processes that are fitted already."""
        self.weights, self.lines = weights, list(lines)
        self._processes = [self._make(number) for number in range(len(weights))]

    def predict(self, archs: Population) -> tuple[Values, Values]:
        """Mean and standard deviation ``(n,)``."""
        used = np.flatnonzero(self.weights >= NEGLIGIBLE)
        return mixed(self.weights[used], [self._predict(number, archs) for number in used.tolist()])

    def _predict(self, number: int, archs: Population) -> tuple[Values, Values]:
        mean, std = self._processes[number].predict(archs)
        if number:
            mean = mean + self.lines[number - 1](self._priors[number - 1](archs))
        return mean, std
