"""U-NSGA-III (Seada & Deb 2016, doi:10.1109/TEVC.2015.2459718), for three and more objectives, with pymoo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray
from pymoo.algorithms.moo.nsga3 import associate_to_niches
from pymoo.algorithms.moo.unsga3 import UNSGA3
from pymoo.core.population import Population as Individuals
from pymoo.operators.selection.tournament import TournamentSelection

from search.algorithm import Scores
from search.fronts.front import ranks
from search.pymoo_search import PymooSearch, PymooState, directions
from supernets.spaces.space import Space

NORM = ("ideal_point", "worst_point", "nadir_point", "extreme_points")


class UNSGA3State(PymooState):
    """Survivors, and the estimate of the corners of the front."""

    norm: dict[str, object]


class UnifiedNSGA3(PymooSearch):
    """Survivors are spread along fixed directions; only parents of the same direction compete."""

    name = "unsga3"

    def __init__(self, space: Space, n_objectives: int, seed: int, *, population: int = 100) -> None:
        super().__init__(space, n_objectives, seed, population=population)
        self.directions = directions(n_objectives, population)
        self.norm: dict[str, object] = {}  # pymoo's running estimate of the front's corners

    def _engine(self) -> UNSGA3:
        engine = UNSGA3(
            self.directions,
            pop_size=max(self.population, len(self.directions)),
            selection=TournamentSelection(func_comp=self._winners),
            eliminate_duplicates=False,
            **self.operators(),
        )
        for name, value in self.norm.items():
            setattr(engine.survival.norm, name, np.array(value, dtype=np.float64))
        return engine

    def _survive(self, engine: UNSGA3, new: Individuals) -> Individuals:
        kept = engine.survival.do(
            self.problem,
            Individuals.merge(engine.pop, new),
            n_survive=engine.pop_size,
            algorithm=engine,
            random_state=self.rng,
        )
        norm = engine.survival.norm
        if norm.nadir_point is not None:  # there was a feasible arch
            self.norm = {name: getattr(norm, name).tolist() for name in NORM}
        return kept

    def _winners(self, _pop: object, pairs: NDArray[np.int64], **_kwargs: object) -> NDArray[np.int64]:
        """Winner of each row of ``pairs (k, 2)``: by violation; in one niche by rank, then by closeness.

        pymoo's tournament breaks ties of violations with a generator that cannot be seeded.
        """
        niche, closeness = np.zeros(len(self.archs), dtype=np.int64), np.zeros(len(self.archs))
        rank = np.zeros(len(self.archs), dtype=np.int64)
        feasible = np.flatnonzero(self.violations <= 0)
        if len(feasible) and self.norm:
            niche[feasible], closeness[feasible] = self._niches(self.scores[feasible])
            rank[feasible] = ranks(self.scores[feasible])
        left, right = pairs[:, 0], pairs[:, 1]
        both = (self.violations[left] <= 0) & (self.violations[right] <= 0)
        rivals = both & (niche[left] == niche[right])
        better = np.where(rivals, closeness[left] - closeness[right], 0.0)
        better = np.where(rivals & (rank[left] != rank[right]), rank[left] - rank[right], better)
        better = np.where(both, better, self.violations[left] - self.violations[right])
        better = np.where(better == 0, self.rng.random(len(pairs)) - 0.5, better)
        return np.where(better < 0, left, right)[:, None]

    def _niches(self, scores: Scores) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        ideal, nadir = (np.array(self.norm[name]) for name in ("ideal_point", "nadir_point"))
        niche, distance, _ = associate_to_niches(scores, self.directions, ideal, nadir)
        return niche, distance

    def state(self) -> dict[str, object]:
        """As in the base class, plus the current estimate of the corners of the front."""
        return {**super().state(), "norm": self.norm}

    def restore(self, state: Mapping[str, object]) -> None:
        """Restore a :meth:`state`."""
        super().restore(state)
        saved = cast(UNSGA3State, state)
        self.norm = dict(saved["norm"])
