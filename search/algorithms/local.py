"""Pareto local search (Paquete et al. 2004): the neighbours of the front, until none is better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.algorithm import Algorithm, Scores
from search.algorithms.nsga2 import survivors
from search.front import non_dominated
from search.seen import Seen, fresh, start_set
from supernets.spaces.space import Population, Space

START = 20
ROUNDS = 64


class LocalSearch(Algorithm):
    """Asks all members one decision away from the loneliest unexplored front member, then of the next.

    Where everything is explored it goes on from random members. While nothing is feasible the archs with
    the smallest violation take the place of the front.
    """

    name = "local"

    def __init__(self, space: Space, n_objectives: int, seed: int) -> None:
        super().__init__(space, n_objectives, seed)
        self.explored = Seen(space)
        self.archs: Population = np.zeros((0, space.d), dtype=np.int64)
        self.scores: Scores = np.zeros((0, n_objectives))
        self.violations = np.zeros(0)

    def _ask(self, n: int) -> Population:
        """Neighbours of the front; a spread start before anything was told."""
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

    def state(self) -> dict[str, Any]:
        """The front and what of it was explored, beside the generator and what was seen."""
        return {
            **super().state(),
            "explored": self.explored.state(),
            "archs": self.archs.tolist(),
            "scores": self.scores.tolist(),
            "violations": self.violations.tolist(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Become what :meth:`state` described."""
        super().restore(state)
        self.explored.restore(state["explored"])
        self.archs = np.array(state["archs"], dtype=np.int64).reshape(-1, self.space.d)
        self.scores = np.array(state["scores"], dtype=np.float64).reshape(-1, self.n_objectives)
        self.violations = np.array(state["violations"], dtype=np.float64)
