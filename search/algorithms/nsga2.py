"""NSGA-II (Deb et al. 2002, doi:10.1109/4235.996017) on populations as integer matrices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from search.additive import guess
from search.algorithm import Algorithm, ScoredState, Scores
from search.errors import AlgorithmError
from search.fronts.front import best_first
from search.seen import fresh, start_set
from search.variation import Genomes, Variation
from supernets.spaces.space import Population, Space

ROUNDS = 4
STEPS = np.array([-3, -2, -1, 1, 2, 3])  # distance of a mate along the front
LEAST_TO_GUESS, MOST_GUESSES = 50, 500
SPARE, LEAST_SHARE = 1.1, 0.25
CORNER = 20  # best archs in one score that are kept in addition to the survivors
CORNER_SHARE = 0.6  # of the children come from the corners while one of them improves
STILL = 5  # generations without a better score after which a corner no longer moves


class NSGA2State(ScoredState):
    """Kept archs and how many of them are survivors, the phase of the start, and how long each corner was still."""

    phase: int
    share: float
    survivors: int
    still: list[int]


class NSGA2(Algorithm):
    """Feasibility first, then non-dominated rank, then crowding.

    A generation is a few array operations. Differences from the original: no arch is asked twice; the first
    batch is spread over sizes and the second is the front of an additive model of the first; parents mate
    with near neighbours on the front, since genes that suit one trade-off rarely suit another; and the archs
    that are best in one score breed among themselves for as long as that score improves. Crowding keeps a
    single arch at each end of the front, so that an end that is hard to reach would be found late or never.
    """

    name = "nsga2"

    def __init__(self, space: Space, n_objectives: int, seed: int, *, population: int = 100) -> None:
        """``population`` is the number of archs that survive, at least 4."""
        super().__init__(space, n_objectives, seed)
        if population < 4:
            raise AlgorithmError(f"population must be at least 4, got {population}")
        self.population = population
        self.archs: Population = np.zeros((0, self.space.d), dtype=np.int64)
        self.scores: Scores = np.zeros((0, self.n_objectives))
        self.violations = np.zeros(0)
        self._survivors = 0  # the first rows; the others are kept for a corner only
        self._still = np.zeros(n_objectives, dtype=np.int64)
        self._phase = 0  # 0 spread, 1 guess, 2 breed
        self._share = 1.0  # share of the last children that were new
        self._variation = Variation(space)

    def _ask(self, n: int) -> Population:
        """A start set spread over sizes, then the additive estimate of the front, then children of the survivors."""
        parts = [np.zeros((0, self.space.d), dtype=np.int64)]
        if self._phase < 2:
            parts.append(self.seen.take(self._first(n), n))
        if len(self.archs):
            parts += self._breed(n - sum(map(len, parts)))
        parts.append(fresh(self.space, self.rng, self.seen, n - sum(map(len, parts))))
        return np.concatenate(parts)

    def _breed(self, missing: int) -> list[Population]:
        """New children, in a few rounds because some are duplicates; the share of new ones sets how many are made."""
        parts: list[Population] = []
        genomes = self._variation.filled(self.rng, self.archs)
        along = np.argsort(self.scores[: self._survivors, 0], kind="stable")
        corners = [corner(self.scores, self.violations, column) for column in range(self.n_objectives)]
        for _ in range(ROUNDS):
            if missing <= 0:
                break
            children = self._children(genomes, along, corners, int(missing * SPARE / self._share) + 1)
            parts.append(self.seen.take(children, missing))
            if len(parts[-1]) < missing:
                self._share = max(len(parts[-1]) / len(children), LEAST_SHARE)
            else:  # more may have been new; the number is unknown
                self._share = min(self._share * SPARE, 1.0)
            missing -= len(parts[-1])
        return parts

    def _first(self, n: int) -> Population:
        """The archs of the first and the second ask."""
        self._phase += 1
        if self._phase == 1:
            return start_set(self.space, self.rng, n)
        if len(self.archs) < LEAST_TO_GUESS:
            return self.archs[:0]
        return guess(self.space, self.rng, self.archs, self.scores, min(n, MOST_GUESSES))

    def _children(
        self, genomes: Genomes, along: NDArray[np.int64], corners: list[NDArray[np.int64]], n: int
    ) -> Genomes:
        """Children of corners first, then of tournament winners and their neighbours ``along`` the front."""
        pairs = []
        for rows, share in zip(corners, self._shares(), strict=True):
            if len(rows) > 1:
                pairs.append(rows[self.rng.integers(len(rows), size=(2, int(n * share)))])
        pairs.append(self._neighbours(along, n - sum(each.shape[1] for each in pairs)))
        left, right = np.concatenate(pairs, axis=1)
        return self._variation.children(self.rng, genomes, left, right)

    def _shares(self) -> list[float]:
        """Of the children, the part that each corner has: those that move share it, else all have less and less."""
        if self.n_objectives == 1:  # survivors and corner are the same
            return [0.0]
        moving = self._still < STILL
        weights = moving if moving.any() else STILL / self._still / len(moving)
        shares: list[float] = (CORNER_SHARE * weights / max(float(weights.sum()), 1.0)).tolist()
        return shares

    def _neighbours(self, along: NDArray[np.int64], n: int) -> NDArray[np.int64]:
        """Parents ``(2, n)``: a tournament winner and one of its neighbours ``along`` the front."""
        count = len(along)
        # Survivors are sorted from best to worst, so a binary tournament is a minimum of two indices.
        left = self.rng.integers(count, size=(2, n)).min(axis=0)
        place = np.empty(count, dtype=np.int64)
        place[along] = np.arange(count)
        step = STEPS[self.rng.integers(len(STEPS), size=n)]
        right = along[np.clip(place[left] + step, 0, count - 1)]
        return np.stack([left, right])

    def _learn(self, archs: Population, scores: Scores, violations: NDArray[np.float64]) -> None:
        archs = np.concatenate([self.archs, archs])
        scores = np.concatenate([self.scores, scores])
        violations = np.concatenate([self.violations, violations])
        self._still = np.where(improved(scores, violations, len(self.archs)), 0, self._still + 1)
        # The estimate uses the whole start set, so all archs survive until it is made.
        keep = survivors(scores, violations, self.population if self._phase == 2 else len(archs))
        self._survivors = len(keep)
        if len(keep) < len(archs) and self.n_objectives > 1:
            end = np.zeros(len(archs), dtype=np.bool_)
            for column in range(self.n_objectives):
                end[corner(scores, violations, column)] = True
            end[keep] = False
            keep = np.concatenate([keep, np.flatnonzero(end)])
        self.archs, self.scores, self.violations = archs[keep], scores[keep], violations[keep]

    def state(self) -> dict[str, object]:
        """Survivors, corners, the random generator and the seen archs."""
        return {
            **super().state(),
            "phase": self._phase,
            "share": self._share,
            "survivors": self._survivors,
            "still": self._still.tolist(),
            "archs": self.archs.tolist(),
            "scores": self.scores.tolist(),
            "violations": self.violations.tolist(),
        }

    def restore(self, state: Mapping[str, object]) -> None:
        """Restore a :meth:`state`."""
        super().restore(state)
        saved = cast(NSGA2State, state)
        self._phase, self._share = int(saved["phase"]), float(saved["share"])
        self._survivors = int(saved["survivors"])
        self._still = np.array(saved["still"], dtype=np.int64)
        self.archs = np.array(saved["archs"], dtype=np.int64).reshape(-1, self.space.d)
        self.scores = np.array(saved["scores"], dtype=np.float64).reshape(-1, self.n_objectives)
        self.violations = np.array(saved["violations"], dtype=np.float64)


def survivors(scores: Scores, violations: NDArray[np.float64], keep: int) -> NDArray[np.int64]:
    """Indices of the ``keep`` best rows, best first: feasible by rank and crowding, then by violation."""
    feasible = np.flatnonzero(violations <= 0)
    best = feasible[best_first(scores[feasible], keep)]
    if len(best) == keep or len(feasible) == len(scores):
        return best
    others = np.flatnonzero(violations > 0)
    others = others[np.argsort(violations[others], kind="stable")]
    return np.concatenate([best, others])[:keep]


def corner(scores: Scores, violations: NDArray[np.float64], column: int) -> NDArray[np.int64]:
    """Indices of the feasible rows that are best in one column, at most ``CORNER``, in no order."""
    feasible = np.flatnonzero(violations <= 0)
    if len(feasible) <= CORNER:
        return feasible
    return feasible[np.argpartition(scores[feasible, column], CORNER - 1)[:CORNER]]


def improved(scores: Scores, violations: NDArray[np.float64], known: int) -> NDArray[np.bool_]:
    """For each column ``(m,)``, whether a feasible row after the first ``known`` is better than all before it."""
    usable = violations <= 0
    before = scores[:known][usable[:known]].min(axis=0, initial=np.inf)
    return np.asarray(scores[known:][usable[known:]].min(axis=0, initial=np.inf) < before)
