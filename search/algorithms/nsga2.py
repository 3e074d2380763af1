"""NSGA-II (Deb et al. 2002, doi:10.1109/4235.996017) on whole populations as integer matrices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.algorithm import Algorithm, Scores
from search.errors import AlgorithmError
from search.front import crowding, ranks
from search.seen import fresh, start_set
from supernets.spaces.space import Population, Space

ROUNDS = 4


class NSGA2(Algorithm):
    """Feasibility first, then non-dominated rank, then crowding.

    There are no individuals: a generation is a handful of array operations. Unlike the original, no arch
    is ever asked twice, and the start is spread over sizes, since copies and a crowded middle waste a
    discrete space.
    """

    name = "nsga2"

    def __init__(self, space: Space, n_objectives: int, seed: int, *, population: int = 100) -> None:
        """``population`` is how many archs survive; at least 4."""
        super().__init__(space, n_objectives, seed)
        if population < 4:
            raise AlgorithmError(f"population must be at least 4, got {population}")
        self.population = population
        self._clear()

    def _clear(self) -> None:
        self.archs: Population = np.zeros((0, self.space.d), dtype=np.int64)
        self.scores: Scores = np.zeros((0, self.n_objectives))
        self.violations = np.zeros(0)

    def ask(self, n: int) -> Population:
        """Children of the survivors; spread members before anything was told."""
        parts = [np.zeros((0, self.space.d), dtype=np.int64)]
        missing = n
        for _ in range(ROUNDS):
            if missing <= 0:
                break
            rows = self._children(missing) if len(self.archs) else start_set(self.space, self.rng, missing)
            parts.append(rows[self.seen.new(rows, add=True)])
            missing -= len(parts[-1])
        parts.append(fresh(self.space, self.rng, self.seen, missing))
        return np.concatenate(parts)

    def _children(self, n: int) -> Population:
        """Uniform crossover of tournament winners, then mutation of about one gene."""
        # Survivors are sorted from best to worst, so a binary tournament is a minimum of two indices.
        picks = self.rng.integers(len(self.archs), size=(4, n))
        left, right = np.minimum(picks[0], picks[1]), np.minimum(picks[2], picks[3])
        children = self.space.crossover(self.rng, self.archs[left], self.archs[right])
        return self.space.mutate(self.rng, children, 1.0 / self.space.d)

    def _learn(self, archs: Population, scores: Scores, violations: NDArray[np.float64]) -> None:
        archs = np.concatenate([self.archs, archs])
        scores = np.concatenate([self.scores, scores])
        violations = np.concatenate([self.violations, violations])
        keep = survivors(scores, violations, self.population)
        self.archs, self.scores, self.violations = archs[keep], scores[keep], violations[keep]

    def state(self) -> dict[str, Any]:
        """Survivors beside the generator and what was seen."""
        return {
            **super().state(),
            "archs": self.archs.tolist(),
            "scores": self.scores.tolist(),
            "violations": self.violations.tolist(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Become what :meth:`state` described."""
        super().restore(state)
        self.archs = np.array(state["archs"], dtype=np.int64).reshape(-1, self.space.d)
        self.scores = np.array(state["scores"], dtype=np.float64).reshape(-1, self.n_objectives)
        self.violations = np.array(state["violations"], dtype=np.float64)


def survivors(scores: Scores, violations: NDArray[np.float64], keep: int) -> NDArray[np.int64]:
    """Indices of the ``keep`` best rows, best first: feasible by rank and crowding, then by violation."""
    feasible = np.flatnonzero(violations <= 0)
    best = feasible[_best(scores[feasible], keep)]
    if len(best) == keep or len(feasible) == len(scores):
        return best
    others = np.flatnonzero(violations > 0)
    others = others[np.argsort(violations[others], kind="stable")]
    return np.concatenate([best, others])[:keep]


def _best(scores: Scores, keep: int) -> NDArray[np.int64]:
    """The ``keep`` best by rank; within a front, and to cut the last one, the loneliest first."""
    rank = ranks(scores)
    by_rank = np.argsort(rank, kind="stable")
    ends = np.searchsorted(rank[by_rank], np.arange(rank.max(initial=-1) + 1), side="right")
    parts: list[NDArray[np.int64]] = []
    start = 0
    for end in ends.tolist():
        front = by_rank[start:end]
        parts.append(front[np.argsort(-crowding(scores[front]), kind="stable")])
        start = end
        if end >= keep:
            break
    return np.concatenate(parts)[:keep] if parts else np.zeros(0, dtype=np.int64)
