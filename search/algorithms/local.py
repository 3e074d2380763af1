"""Pareto local search (Paquete et al. 2004): evaluates the neighbours of the front until none is better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from search.algorithm import Algorithm, ScoredState, Scores
from search.algorithms.nsga2 import survivors
from search.fronts.front import non_dominated
from search.seen import Seen, fresh, start_set
from supernets.spaces.space import Population, Space

START = 20
ROUNDS = 64


class LocalState(ScoredState):
    """The front, and which of it is explored."""

    explored: str


class LocalSearch(Algorithm):
    """Asks for all members one choice away from the least crowded unexplored front member, then from the next.

    If all of the front is explored, it continues from random members. While nothing is feasible, the archs
    with the smallest violation are used instead of the front.
    """

    name = "local"

    def __init__(self, space: Space, n_objectives: int, seed: int) -> None:
        super().__init__(space, n_objectives, seed)
        self.explored = Seen(space)
        self.archs: Population = np.zeros((0, space.d), dtype=np.int64)
        self.scores: Scores = np.zeros((0, n_objectives))
        self.violations = np.zeros(0)

    def _ask(self, n: int) -> Population:
        """Neighbours of the front; before the first tell, a start set spread over sizes."""
        parts = [np.zeros((0, self.space.d), dtype=np.int64)]
        missing = n
        if len(self.archs) == 0:
            parts.append(self.seen.take(start_set(self.space, self.rng, START), missing))
            missing -= len(parts[-1])
        open_rows = np.flatnonzero(self.explored.new(self.archs))
        for row in open_rows[:ROUNDS].tolist():
            if missing <= 0:
                break
            around = self.space.neighbours(self.archs[row])
            around = around[self.seen.new(around)]
            if len(around) <= missing:
                self.explored.add(self.archs[row][None])
            parts.append(self.seen.take(around[self.rng.permutation(len(around))], missing))
            missing -= len(parts[-1])
        parts.append(fresh(self.space, self.rng, self.seen, missing))
        return np.concatenate(parts)

    def _learn(self, archs: Population, scores: Scores, violations: NDArray[np.float64]) -> None:
        archs = np.concatenate([self.archs, archs])
        scores = np.concatenate([self.scores, scores])
        violations = np.concatenate([self.violations, violations])
        feasible = violations <= 0
        if feasible.any():
            keep = np.flatnonzero(feasible)
            keep = keep[non_dominated(scores[keep])]
            keep = keep[survivors(scores[keep], violations[keep], len(keep))]
        else:
            keep = survivors(scores, violations, START)
        self.archs, self.scores, self.violations = archs[keep], scores[keep], violations[keep]

    def state(self) -> dict[str, object]:
        """The front, which of it is explored, the random generator and the seen archs."""
        return {
            **super().state(),
            "explored": self.explored.state(),
            "archs": self.archs.tolist(),
            "scores": self.scores.tolist(),
            "violations": self.violations.tolist(),
        }

    def restore(self, state: Mapping[str, object]) -> None:
        """Restore a :meth:`state`."""
        super().restore(state)
        saved = cast(LocalState, state)
        self.explored.restore(saved["explored"])
        self.archs = np.array(saved["archs"], dtype=np.int64).reshape(-1, self.space.d)
        self.scores = np.array(saved["scores"], dtype=np.float64).reshape(-1, self.n_objectives)
        self.violations = np.array(saved["violations"], dtype=np.float64)
