"""Latency from MACs and bytes, for very few rows.

``latency = a + b * macs + c * bytes``: the two terms of the roofline model (Williams et al., 2009) plus a constant, all
non-negative. Two rows are enough. Without rows, :meth:`RooflineProxy.guess` uses the values of a typical processor core
with an interval of a factor of ten in both directions.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from predictors.arrays import Array, Arrays
from predictors.predictor import Predictor, Values
from predictors.scope import Scope
from supernets.families.family import Family
from supernets.metrics import ACTIVATION, MACS, SIZE
from supernets.spaces.space import Population

# ms: constant, per MAC, per megabyte. A core with 10^10 MACs and 10^10 bytes per second.
USUAL_COSTS = (0.0, 1e-7, 0.1)
# Relative error of a latency if the device's speed is known, and of the speed without any row.
USUAL_ERROR = 0.35
UNKNOWN_SPEED = 1.4
DOF = 5.0
CONFIDENT_ROWS = 4.0
# Upper bound of the factor; for rows that are very far apart it would be infinite.
LARGEST_OFFSET = 30.0


class RooflineProxy(Predictor):
    """See the module docstring. Needs 2 rows; from 8 rows other models are better."""

    name = "roofline_proxy"
    fewest_rows = 2

    def __init__(self, family: Family, scope: Scope, seed: int = 0) -> None:
        super().__init__(family, scope, seed)
        self._costs = np.array(USUAL_COSTS)
        self._error = USUAL_ERROR

    def guess(self) -> None:
        """Use typical values, without any row."""
        self._archs = np.zeros((0, self.space.d), dtype=np.int64)
        self._y = np.zeros(0)
        self._costs, self._error = np.array(USUAL_COSTS), UNKNOWN_SPEED
        self._scale, self._dof = 1.0, DOF

    def fit(self, archs: Population, y: Values, errors: Values | None = None) -> None:
        """See :meth:`Predictor.fit`."""
        super().fit(archs, y, errors)
        # Few residuals are not enough to calibrate: they are combined with the usual error, weighted by their number.
        self._scale, self._dof = 1.0, max(DOF, self.rows - 1.0)

    def _terms(self, archs: Population) -> NDArray[np.float64]:
        """One, MACs and megabytes moved ``(n, 3)``."""
        costs = self.family.costs(archs)
        moved = costs[SIZE] + costs[ACTIVATION]
        return np.stack([np.ones(len(archs)), costs[MACS], moved], axis=1)

    def _learn(self, archs: Population, y: Values) -> tuple[Values, float]:
        size = np.maximum(np.abs(y), 1e-12)
        terms = self._terms(archs)
        unit = np.maximum(terms.mean(axis=0), 1e-12)
        # Relative errors: every row is divided by its measured value.
        found, _ = nnls(terms / unit / size[:, None], y / size)
        self._costs = found / unit
        errors = y / np.maximum(terms @ self._costs, 1e-12) - 1
        squares = float(np.square(errors).sum()) + CONFIDENT_ROWS * USUAL_ERROR**2
        self._error = float(np.sqrt(squares / (len(y) + CONFIDENT_ROWS)))
        return errors / self._error, 2.0

    def _answer(self, archs: Population) -> tuple[Values, Values]:
        mean = np.maximum(self._terms(archs) @ self._costs, 1e-9)
        return mean, mean * self._error

    def quantile(self, archs: Population, p: float) -> Values:
        """See :meth:`Predictor.quantile`; errors are factors, so quantiles are never negative."""
        middle = super().quantile(archs, 0.5)
        offset = (super().quantile(archs, p) - middle) / np.maximum(middle, 1e-300)
        grown: Values = middle * np.exp(np.clip(offset, -LARGEST_OFFSET, LARGEST_OFFSET))
        return np.clip(grown, *self._bounds())

    def _bounds(self) -> tuple[float, float]:
        return (0.0, 1.0) if self.scope.definition.unit == "fraction" else (0.0, np.inf)

    def _state(self) -> Mapping[str, Array]:
        return {"numbers": np.array([*self._costs, self._error])}

    def _restore(self, state: Arrays) -> None:
        *costs, self._error = state.numbers("numbers")
        self._costs = np.array(costs)
