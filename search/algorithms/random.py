"""Random search, the baseline of all other algorithms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from search.algorithm import Algorithm, Scores
from search.seen import fresh
from supernets.spaces.space import Population


class RandomSearch(Algorithm):
    """Uniformly drawn members without repetition."""

    name = "random"

    def _ask(self, n: int) -> Population:
        """Members drawn uniformly."""
        return fresh(self.space, self.rng, self.seen, n)

    def _learn(self, archs: Population, scores: Scores, violations: NDArray[np.float64]) -> None:
        """Does nothing."""
        _ = np, archs, scores, violations
