"""Gradient-boosted trees on encoding and layers: few assumptions, but many rows are needed.

scikit-learn's histogram boosting (after LightGBM, Ke et al., 2017) on the logarithm of the measured values.
A saved file contains the rows instead of the trees: loading trees would run code, refitting them does not.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from predictors.arrays import Array, Arrays
from predictors.latency.inputs import Matrix, inputs_of
from predictors.predictor import Predictor, Values
from predictors.scope import Scope
from supernets.families.family import Family
from supernets.spaces.space import Population

FOLDS = 4
ROUNDS = 150
LEARNING_RATE = 0.08
LEAVES = 12
LEAF_SHARE = 40
LEAST_SPREAD = 1e-4


class GradientTrees(Predictor):
    """See the module docstring. Needs 8 rows, useful from a few hundred. Does not extrapolate."""

    name = "trees"
    fewest_rows = 8
    suits = ("measured", "evaluated")

    def __init__(self, family: Family, scope: Scope, seed: int = 0) -> None:
        super().__init__(family, scope, seed)
        self._inputs = inputs_of(family)
        self._trees: HistGradientBoostingRegressor | None = None
        self._spread = 0.0

    def _learn(self, archs: Population, y: Values) -> tuple[Values, float]:
        inputs, target = self._inputs(archs), self._bend(y)
        fold = np.random.default_rng(self.seed).permutation(len(y)) % min(FOLDS, len(y))
        left_out = np.empty(len(y))
        for f in range(int(fold.max()) + 1):
            held = fold == f
            left_out[held] = target[held] - self._grown(inputs[~held], target[~held]).predict(inputs[held])
        self._spread = max(float(np.sqrt(np.square(left_out).mean())), LEAST_SPREAD)
        self._trees = self._grown(inputs, target)
        return left_out / self._spread, len(y) / 2

    def _grown(self, inputs: Matrix, target: Values) -> HistGradientBoostingRegressor:
        model = HistGradientBoostingRegressor(
            max_iter=ROUNDS,
            learning_rate=LEARNING_RATE,
            max_leaf_nodes=LEAVES,
            min_samples_leaf=max(2, min(10, len(target) // LEAF_SHARE)),
            early_stopping=False,
            random_state=self.seed,
        )
        return model.fit(inputs, target)

    def _positive(self) -> bool:
        return self.scope.definition.source == "measured"

    def _bend(self, y: Values) -> Values:
        return np.log(y) if self._positive() else y

    def _answer(self, archs: Population) -> tuple[Values, Values]:
        assert self._trees is not None
        if len(archs) == 0:
            return np.zeros(0), np.zeros(0)
        raw = np.asarray(self._trees.predict(self._inputs(archs)), dtype=np.float64)
        mean = np.exp(raw) if self._positive() else raw
        return mean, self._spread * (mean if self._positive() else np.ones(len(mean)))

    def _state(self) -> Mapping[str, Array]:
        return {"spread": np.array([self._spread])}

    def _restore(self, state: Arrays) -> None:
        assert self._archs is not None
        (self._spread,) = state.numbers("spread")
        self._trees = self._grown(self._inputs(self._archs), self._bend(self._y))
