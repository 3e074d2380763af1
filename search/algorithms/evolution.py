"""Regularised evolution (Real et al. 2019, arXiv:1802.01548): the oldest arch is removed, not the worst."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from search.algorithm import Algorithm, Scores
from search.algorithms.nsga2 import survivors
from search.errors import AlgorithmError
from search.seen import fresh
from supernets.spaces.space import Population, Space

ROUNDS = 4


class RegularisedEvolution(Algorithm):
    """Mutants of tournament winners among the youngest archs.

    Tournaments compare feasibility, then rank, then crowding, and so support any number of objectives.
    """

    name = "evolution"

    def __init__(
        self, space: Space, n_objectives: int, seed: int, *, population: int = 100, tournament: int = 10
    ) -> None:
        """``population`` is the number of archs kept, ``tournament`` the number that compete for each child."""
        super().__init__(space, n_objectives, seed)
        if not 2 <= tournament <= population:
            raise AlgorithmError(
                f"2 <= tournament <= population must hold, got {tournament} and {population}"
            )
        self.population, self.tournament = population, tournament
        self.archs: Population = np.zeros((0, space.d), dtype=np.int64)
        self.scores: Scores = np.zeros((0, n_objectives))
        self.violations = np.zeros(0)

    def _ask(self, n: int) -> Population:
        """Random members until the population is full, then mutants."""
        parts = [np.zeros((0, self.space.d), dtype=np.int64)]
        missing = n if len(self.archs) >= self.population else 0
        for _ in range(ROUNDS):
            if missing <= 0:
                break
            parents = self.archs[[self._winner() for _ in range(missing)]]
            parts.append(self.seen.take(self.space.mutate(self.rng, parents, 1.0 / self.space.d), missing))
            missing -= len(parts[-1])
        parts.append(fresh(self.space, self.rng, self.seen, n - sum(map(len, parts))))
        return np.concatenate(parts)

    def _winner(self) -> int:
        rows = self.rng.integers(len(self.archs), size=self.tournament)
        return int(rows[survivors(self.scores[rows], self.violations[rows], 1)[0]])

    def _learn(self, archs: Population, scores: Scores, violations: NDArray[np.float64]) -> None:
        self.archs = np.concatenate([self.archs, archs])[-self.population :]
        self.scores = np.concatenate([self.scores, scores])[-self.population :]
        self.violations = np.concatenate([self.violations, violations])[-self.population :]

    def state(self) -> dict[str, object]:
        """The population, oldest first, the random generator and the seen archs."""
        return {
            **super().state(),
            "archs": self.archs.tolist(),
            "scores": self.scores.tolist(),
            "violations": self.violations.tolist(),
        }

    def restore(self, state: Mapping[str, object]) -> None:
        """Restore a :meth:`state`."""
        super().restore(state)
        self.archs = np.array(state["archs"], dtype=np.int64).reshape(-1, self.space.d)
        self.scores = np.array(state["scores"], dtype=np.float64).reshape(-1, self.n_objectives)
        self.violations = np.array(state["violations"], dtype=np.float64)
