"""Our search when the same space was evaluated on another data set before.

Only the accuracies of that data set are read, and only of the archs that were evaluated there: those of an earlier
search on the same device, or random ones. Its latencies are not used.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from benchmarks.cells import CellTable
from benchmarks.feature_process import FeatureProcess, log_error, milestone
from predictors.quality.elsewhere import WithPriors
from supernets.spaces.space import Population

Values = NDArray[np.float64]
Rows = NDArray[np.int64]

SEARCH, LONG = "search", 200
BEST = 100.0  # points
START = 10
"""Archs that are evaluated before the first fit; without a prior there are twice as many."""


def prior_of(table: CellTable, rows: Rows, accuracy: Values) -> Callable[[Population], Values]:
    """What evaluations elsewhere say: the predicted log error there ``(n,)`` of any archs of the table."""
    model = table.process(table.quality_groups, {}, log_of=BEST, sign=1.0)
    model.fit(table.digits[rows], accuracy)
    predicted = np.log(np.maximum(BEST - model.predict(table.digits)[0], 1e-3))
    return lambda archs: predicted[table.rows(archs)]


class ErrorWithPrior:
    """A surrogate of ``-accuracy``: log errors by :class:`WithPriors`, on the same features as without a prior."""

    def __init__(
        self,
        table: CellTable,
        priors: list[Callable[[Population], Values]],
        caches: list[dict[str, Values]],
    ) -> None:
        """``caches``: one for each process, kept between instances."""
        self.model = WithPriors(lambda number: _process(table, caches[number]), priors)

    def fit(self, archs: Population, y: Values) -> None:
        """Learn from archs ``(n, d)`` and minimised scores ``(n,)``."""
        self.model.fit(archs, log_error(y, y[: milestone(len(y))], BEST, -1.0))

    def predict(self, archs: Population) -> tuple[Values, Values]:
        """Mean and standard deviation ``(n,)`` of the minimised score."""
        mean, std = self.model.predict(archs)
        error = np.exp(mean)
        return error - BEST, error * std

    def quantile(self, archs: Population, p: float) -> Values:
        """Quantile of a normal distribution with that mean and deviation."""
        mean, std = self.predict(archs)
        return np.asarray(mean + std * ndtri(p))


def _process(table: CellTable, cache: dict[str, Values]) -> FeatureProcess:
    return table.process(table.quality_groups, cache)


@dataclass(frozen=True)
class Elsewhere:
    """The known evaluations of another data set: its column, and those of an earlier search or random ones."""

    column: str
    rows: int | None = None
    """``None``: the 200 evaluations of a search for that accuracy, on the same device and by another seed."""

    def known(self, table: CellTable, search: Callable[[str, int], Rows], seed: int) -> tuple[Rows, Values]:
        """Rows of the table that were evaluated there, and their accuracies.

        Raises:
            SystemExit: the table has no such column.
        """
        if self.column not in table.frame:
            raise SystemExit(f"no column {self.column!r}; choices: {', '.join(table.frame.columns)}")
        accuracy = table.frame[self.column].to_numpy(float)
        if self.rows is None:
            rows = search(self.column, LONG)
        else:
            usable = np.flatnonzero(np.isfinite(accuracy))
            rows = np.random.default_rng(seed).permutation(usable)[: self.rows]
        return rows, accuracy[rows]


def amount(text: str) -> int | None:
    """``search``, or how many random archs."""
    if text == SEARCH:
        return None
    if not text.isdigit() or int(text) < 10:
        raise argparse.ArgumentTypeError(f"must be {SEARCH!r} or a number of archs from 10, got {text!r}")
    return int(text)
