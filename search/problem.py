"""What a search is told: a space, what to optimise, what must hold, and who predicts it."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from supernets.spaces.space import Population


class Surrogate(Protocol):
    """A model of one metric that a job hands in; ``search`` contains no model of its own.

    Populations are canonical ``(n, d)`` matrices of the supernet's space; values are in the metric's own
    unit and direction. Promises: ``std >= 0``; ``quantile`` never falls as ``p`` rises; predicting
    changes nothing; the same fit gives the same predictions.
    """

    def fit(self, archs: Population, y: NDArray[np.float64]) -> None:
        """Learn from archs ``(n, d)`` and their true values ``(n,)``, replacing what was learnt before."""

    def predict(self, archs: Population) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean ``(n,)`` and standard deviation ``(n,)``."""

    def quantile(self, archs: Population, p: float) -> NDArray[np.float64]:
        """The value ``(n,)`` that the truth stays below with probability ``p``, ``0 < p < 1``."""
