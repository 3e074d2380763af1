"""Random search: the baseline that everything else has to beat."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from search.algorithm import Algorithm, Scores
from search.seen import fresh
from supernets.spaces.space import Population


class RandomSearch(Algorithm):
    """Uniform members, none twice, whatever is told."""

    name = "random"

    def _ask(self, n: int) -> Population:
        """Members drawn uniformly."""
        return fresh(self.space, self.rng, self.seen, n)

    def _learn(self, archs: Population, scores: Scores, violations: NDArray[np.float64]) -> None:
        """Nothing is learnt."""
        _ = np, archs, scores, violations
