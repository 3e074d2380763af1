"""MACs and bytes: an answer when next to nothing is known.

``latency = a + b * macs + c * bytes``, the roofline's two terms added (Williams et al., 2009) to a fixed part, none
of them negative, from as little as two rows; without any, :meth:`RooflineProxy.guess` answers for
a typical processor core with an interval that spans a factor of ten either way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from predictors.predictor import Predictor, Values
from predictors.scope import Scope
from supernets.families.family import Family
from supernets.spaces.space import Population

# ms: fixed, a MAC, a megabyte. A core that multiplies 10^10 times and moves 10^10 bytes a second.
USUAL_COSTS = (0.0, 1e-7, 0.1)
# Relative error of a net's latency given the device's speed, and of the speed itself before any row.
USUAL_ERROR = 0.35
UNKNOWN_SPEED = 1.4
DOF = 5.0
CONFIDENT_ROWS = 4.0
# A factor above this says nothing more; some device's rows are so far apart that it would be infinite.
LARGEST_OFFSET = 30.0


class RooflineProxy(Predictor):
    """See the module. Needs 2 rows; a better model takes over from 8."""

    name = "roofline_proxy"
    fewest_rows = 2

    def __init__(self, family: Family, scope: Scope, seed: int = 0) -> None:
        super().__init__(family, scope, seed)
        self._costs = np.array(USUAL_COSTS)
        self._error = USUAL_ERROR

    def guess(self) -> None:
        """Answer without any row."""
        self._archs = np.zeros((0, self.space.d), dtype=np.int64)
        self._y = np.zeros(0)
        self._costs, self._error = np.array(USUAL_COSTS), UNKNOWN_SPEED
        self._scale, self._dof = 1.0, DOF

    def fit(self, archs: Population, y: Values) -> None:
        """See :meth:`Predictor.fit`."""
        super().fit(archs, y)
        # Few residuals calibrate nothing: the usual error stands in for them, weighed by their number.
        self._scale, self._dof = 1.0, max(DOF, self.rows - 1.0)

    def _terms(self, archs: Population) -> NDArray[np.float64]:
        """One, MACs and megabytes moved ``(n, 3)``."""
        costs = self.family.costs(archs)
        moved = costs["size_mb"] + costs["activation_mb"]
        return np.stack([np.ones(len(archs)), costs["macs"], moved], axis=1)

    def _learn(self, archs: Population, y: Values) -> tuple[Values, float]:
        size = np.maximum(np.abs(y), 1e-12)
        terms = self._terms(archs)
        unit = np.maximum(terms.mean(axis=0), 1e-12)
        # Relative errors: every row is divided by what was measured.
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
        """See :meth:`Predictor.quantile`; errors are factors, so that no quantile falls below 0."""
        middle = super().quantile(archs, 0.5)
        offset = (super().quantile(archs, p) - middle) / np.maximum(middle, 1e-300)
        grown: Values = middle * np.exp(np.clip(offset, -LARGEST_OFFSET, LARGEST_OFFSET))
        return np.clip(grown, *self._bounds())

    def _bounds(self) -> tuple[float, float]:
        return (0.0, 1.0) if self.scope.definition.unit == "fraction" else (0.0, np.inf)

    def _state(self) -> dict[str, NDArray[Any]]:
        return {"numbers": np.array([*self._costs, self._error])}

    def _restore(self, state: dict[str, NDArray[Any]]) -> None:
        self._costs, self._error = state["numbers"][:-1], float(state["numbers"][-1])
