"""Quality from fewer evaluations, where the same space was evaluated elsewhere: on other data, by other supernets.

A Gaussian process without a prior and one for the residual of each prior, mixed as in
:mod:`predictors.quality.elsewhere`. A prior is what a predictor of those evaluations expects of an arch.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Self

import numpy as np

from predictors.arrays import Array, Arrays, stored
from predictors.predictor import Predictor, Values, load
from predictors.quality.elsewhere import Line, Prior, WithPriors
from predictors.quality.gaussian_process import GaussianProcess
from predictors.scope import Scope
from supernets.families.family import Family
from supernets.spaces.space import Population

TINY = 1e-12


class _Part:
    """A Gaussian process of any values, with its errors on rows that are left out."""

    def __init__(self, family: Family, scope: Scope, seed: int, errors: Values | None = None) -> None:
        self.process = GaussianProcess(family, scope, seed)
        self.process._errors = errors
        self.off, self.deviation = np.zeros(0), np.ones(0)

    def fit(self, archs: Population, y: Values) -> None:
        """See :class:`predictors.quality.elsewhere.Process`."""
        residuals, _ = self.process._learn(archs, y)
        self.deviation = np.maximum(self.process.left_out_deviations, TINY)
        self.off = residuals * self.deviation

    def predict(self, archs: Population) -> tuple[Values, Values]:
        """Mean and standard deviation ``(n,)`` before calibration."""
        return self.process._answer(archs)

    def left_out(self) -> Values:
        """Log density ``(n,)`` of each fitted row, predicted from all others."""
        return np.asarray(-0.5 * np.square(self.off / self.deviation) - np.log(self.deviation))


class Informed(Predictor):
    """A Gaussian process without a prior, mixed with one for the residual of each of :meth:`_priors`."""

    fewest_rows = 10
    most_rows = 1_000
    suits = ("evaluated",)
    uses_errors = True
    uses_sources = True

    def __init__(self, family: Family, scope: Scope, seed: int = 0, known: Sequence[Predictor] = ()) -> None:
        super().__init__(family, scope, seed)
        self.known = list(known)
        self._parts: list[_Part] = []
        self._model = WithPriors(lambda number: self._parts[number], [])

    @abstractmethod
    def _priors(self) -> list[Prior]:
        """What is expected of archs, from ``known``."""

    @property
    def weights(self) -> list[float]:
        """Weight of each prior; what is missing to 1 is that of no prior."""
        return [float(weight) for weight in self._model.weights[1:]]

    def _learn(self, archs: Population, y: Values) -> tuple[Values, float]:
        priors = self._priors()
        self._parts = [
            _Part(self.family, self.scope, self.seed, self._errors) for _ in range(1 + len(priors))
        ]
        self._model = WithPriors(lambda number: self._parts[number], priors)
        self._model.fit(archs, y)
        shares = self._model.weights[:, None]
        off = np.stack([part.off for part in self._parts])
        deviation = np.stack([part.deviation for part in self._parts])
        mean = (shares * off).sum(axis=0)
        variance = (shares * (np.square(deviation) + np.square(off - mean))).sum(axis=0)
        return mean / np.sqrt(variance), len(y) / 2

    def _answer(self, archs: Population) -> tuple[Values, Values]:
        return self._model.predict(archs)

    def _state(self) -> dict[str, Array]:
        lines = [[line.offset, line.slope] for line in self._model.lines]
        state: dict[str, Array] = {
            "weights": self._model.weights,
            "lines": np.array(lines, dtype=np.float64).reshape(-1, 2),
        }
        for number, part in enumerate(self._parts):
            state |= {f"part{number}.{key}": value for key, value in part.process._state().items()}
        return state

    def _restore(self, state: Arrays) -> None:
        """Restore the processes; what :meth:`_priors` needs has been restored before."""
        lines = state.floats("lines")
        self._parts = [_Part(self.family, self.scope, self.seed) for _ in range(1 + len(lines))]
        for number, part in enumerate(self._parts):
            part.process._restore(state.below(f"part{number}."))
        self._model = WithPriors(lambda number: self._parts[number], self._priors())
        self._model.restore(
            state.floats("weights"), [Line(float(offset), float(slope)) for offset, slope in lines]
        )


class QualityTransfer(Informed):
    """See the module docstring. ``known`` are fitted predictors of the same metric elsewhere.

    Without any it is a :class:`GaussianProcess`. Needs 10 rows; with a prior that holds, twenty may be enough.
    """

    name = "quality_transfer"

    def _priors(self) -> list[Prior]:
        def prior(model: Predictor) -> Prior:
            return lambda archs: model.predict(archs)[0]

        return [prior(model) for model in self.known]

    def fresh(self) -> Self:
        """An unfitted predictor with the same priors."""
        return type(self)(self.family, self.scope, self.seed, self.known)

    def _state(self) -> dict[str, Array]:
        return super()._state() | {
            f"known{number}": stored(model.dump()) for number, model in enumerate(self.known)
        }

    def _restore(self, state: Arrays) -> None:
        count = len(state.floats("lines"))
        self.known = [load(state.content(f"known{number}"), self.family) for number in range(count)]
        super()._restore(state)
