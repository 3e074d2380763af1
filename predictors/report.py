"""Report cards: how well a predictor does on rows it has not seen."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from predictors.errors import FitError
from supernets.spaces.space import Population

if TYPE_CHECKING:
    from scipy.stats._stats_py import SignificanceResult

LOW, HIGH = 0.05, 0.95
TINY = 1e-12
# Nets below this share of the median are judged separately: one that compiles to nothing must not outweigh all others.
SMALL = 0.1
SURE = 1.645  # standard deviations that chance stays below with 95 %
CLEAR = 0.98  # a ceiling above this is no limit worth a warning
Values = NDArray[np.float64]


class Model(Protocol):
    """What can be cross-validated."""

    def fit(self, archs: Population, y: Values, errors: Values | None = None) -> None:
        """Learn from values ``(n,)`` with standard errors ``(n,)``."""

    def predict(self, archs: Population) -> tuple[Values, Values]:
        """Mean and standard deviation."""

    def quantile(self, archs: Population, p: float) -> Values:
        """The value that the truth stays below with probability ``p``."""


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """How held-out rows were predicted; arrays are ``(n,)`` in the metric's unit.

    Errors are relative to the measured value (0.01 = 1 %); ``bias`` is the mean relative error (above 0:
    predicted too large). ``coverage90`` is the share of rows inside the 90 % interval, ``width90`` its
    mean width over the measured value, ``interval_score`` the proper score of such intervals (lower is
    better). ``noise_ceiling`` is the Spearman correlation ``c`` between
    measurements of the same archs on two halves of the data; against all of the data a perfect predictor
    shows about ``sqrt(2 c / (1 + c))``. A correlation is None where one side does not vary.
    """

    measured: Values
    predicted: Values
    lower: Values
    upper: Values
    folds: int
    noise_ceiling: float | None = None

    @property
    def n(self) -> int:
        """Number of held-out rows."""
        return len(self.measured)

    @property
    def errors(self) -> Values:
        """Signed relative errors ``(n,)``."""
        return np.asarray((self.predicted - self.measured) / np.maximum(np.abs(self.measured), TINY))

    @property
    def interval_scores(self) -> Values:
        """Interval score of each row ``(n,)`` over its measured value: width, and 20 times what it lies outside.

        A value below a tenth of the median counts as a tenth of it.
        """
        outside = np.maximum(self.lower - self.measured, 0) + np.maximum(self.measured - self.upper, 0)
        score = self.upper - self.lower + 2 / (1 - (HIGH - LOW)) * outside
        size = np.abs(self.measured)
        return np.asarray(score / np.maximum(size, max(SMALL * float(np.median(size)), TINY)))

    @property
    def spearman(self) -> float | None:
        """Rank correlation of predicted and measured."""
        return _correlation(stats.spearmanr, self.predicted, self.measured)

    @property
    def doubt(self) -> str | None:
        """Why the predicted order of subnets means little, or more rows would not improve it; None if neither holds."""
        rank = self.spearman
        if rank is None or self.n < 3:
            return None
        # Standard deviation of the correlation of unrelated rankings.
        chance = SURE / math.sqrt(self.n - 1)
        if rank < chance:
            return (
                f"the predicted order of subnets is not better than chance: Spearman {rank:.2f} on {self.n} held-out "
                f"subnets, chance reaches {chance:.2f}; more images for each evaluation, a longer training or more "
                f"subnets would help"
            )
        if self.noise_ceiling is not None and self.noise_ceiling > 0:
            best = math.sqrt(2 * self.noise_ceiling / (1 + self.noise_ceiling))
            if rank >= best - chance and best < CLEAR:
                return (
                    f"Spearman {rank:.2f} is within chance of the noise ceiling of the evaluations, {best:.2f}: more "
                    f"subnets would not improve it, more images for each evaluation would"
                )
        return None

    @property
    def kendall(self) -> float | None:
        """Kendall's tau-b of predicted and measured."""
        return _correlation(stats.kendalltau, self.predicted, self.measured)

    def as_json(self, points: bool = False) -> dict[str, Any]:
        """All figures; with ``points`` also predicted, measured and interval of every row."""
        inside = (self.measured >= self.lower) & (self.measured <= self.upper)
        figures: dict[str, object] = {
            "n": self.n,
            "folds": self.folds,
            "spearman": self.spearman,
            "kendall": self.kendall,
            "mape": float(np.abs(self.errors).mean()),
            "median_ape": float(np.median(np.abs(self.errors))),
            "bias": float(self.errors.mean()),
            "coverage90": float(inside.mean()),
            "width90": float(((self.upper - self.lower) / np.maximum(np.abs(self.measured), TINY)).mean()),
            "interval_score": float(self.interval_scores.mean()),
            "noise_ceiling": self.noise_ceiling,
            "doubt": self.doubt,
        }
        if points:
            figures["points"] = [
                {"measured": m, "predicted": p, "lower": low, "upper": high}
                for m, p, low, high in zip(
                    *(a.tolist() for a in (self.measured, self.predicted, self.lower, self.upper)),
                    strict=True,
                )
            ]
        return figures

    def plot(self, label: str) -> bytes:
        """Predicted against measured with 90 % intervals, as PNG; ``label`` names metric and unit."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(5, 5), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        below, above = self.predicted - self.lower, self.upper - self.predicted
        bars = np.maximum(np.stack([below, above]), 0)
        axes.errorbar(self.measured, self.predicted, yerr=bars, fmt="o", ms=3.5, lw=0.7, alpha=0.8)
        ends = [
            min(self.measured.min(), self.predicted.min()),
            max(self.measured.max(), self.predicted.max()),
        ]
        axes.plot(ends, ends, color="0.5", lw=1)
        axes.set(xlabel=f"measured {label}", ylabel=f"predicted {label}")
        rank = "-" if self.spearman is None else f"{self.spearman:.3f}"
        error = np.median(np.abs(self.errors))
        axes.set_title(f"{self.n} held-out archs: Spearman {rank}, median error {error:.1%}", fontsize=10)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
        return buffer.getvalue()


def _correlation(
    measure: Callable[[Values, Values], SignificanceResult], left: Values, right: Values
) -> float | None:
    if len(left) < 2 or np.ptp(left) == 0 or np.ptp(right) == 0:
        return None
    return float(measure(left, right).statistic)


def score(model: Model, archs: Population, measured: Values, noise_ceiling: float | None = None) -> Report:
    """Report of a fitted model on rows ``(n, d)`` that it has not seen."""
    mean, _ = model.predict(archs)
    low, high = model.quantile(archs, LOW), model.quantile(archs, HIGH)
    return Report(
        np.asarray(measured, dtype=np.float64), mean, low, high, folds=0, noise_ceiling=noise_ceiling
    )


def cross_validate(
    fresh: Callable[[], Model],
    archs: Population,
    y: Values,
    folds: int,
    seed: int,
    noise_ceiling: float | None = None,
    *,
    errors: Values | None = None,
) -> Report:
    """Report on rows ``(n, d)``, each predicted by a model that did not see its fold.

    ``errors (n,)`` are standard errors of the values; models that learn from them receive those of their rows.

    Rows of the same arch stay in one fold. Folds are drawn from ``seed``; there are at most as many as
    distinct archs.

    Raises:
        FitError: fewer than two distinct archs, or too few rows in what remains for training.
    """
    _, group = np.unique(archs, axis=0, return_inverse=True)
    groups = int(group.max()) + 1 if len(group) else 0
    if groups < 2:
        raise FitError(f"a report needs at least 2 distinct archs, got {groups}")
    folds = min(folds, groups)
    fold_of = (np.random.default_rng(seed).permutation(groups) % folds)[group.ravel()]
    mean, low, high = np.empty(len(y)), np.empty(len(y)), np.empty(len(y))
    for fold in range(folds):
        held = fold_of == fold
        model = fresh()
        model.fit(archs[~held], y[~held], None if errors is None else errors[~held])
        mean[held] = model.predict(archs[held])[0]
        low[held], high[held] = model.quantile(archs[held], LOW), model.quantile(archs[held], HIGH)
    return Report(np.array(y, dtype=np.float64), mean, low, high, folds, noise_ceiling)
