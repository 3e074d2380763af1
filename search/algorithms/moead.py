"""MOEA/D (Zhang & Li 2007, doi:10.1109/TEVC.2007.892759): one arch per weight vector, with pymoo."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pymoo.algorithms.moo.moead import MOEAD, default_decomp
from pymoo.core.population import Population as Individuals

from search.algorithm import Scores
from search.pymoo_search import PymooSearch, directions
from supernets.spaces.space import Population, Space

NEIGHBOURS = 20


class MOEADSearch(PymooSearch):
    """Parents come from neighbouring weight vectors, and a child may replace their archs.

    Differences from the original: scores are scaled to the range of the population; a child belongs to the
    neighbourhood of the weight vector that suits it best, independent of its parents (as in Wang et al. 2014),
    so that archs of any origin can be told; violations are compared before weighted scores.
    """

    name = "moead"
    min_objectives = 2

    def __init__(self, space: Space, n_objectives: int, seed: int, *, population: int = 100) -> None:
        super().__init__(space, n_objectives, seed, population=population)
        self.directions = directions(n_objectives, population)
        self.decomposition = default_decomp(self.problem)

    def _engine(self) -> MOEAD:
        neighbours = min(NEIGHBOURS, len(self.directions))
        engine = MOEAD(self.directions, n_neighbors=neighbours, **self.operators())
        distance = np.linalg.norm(self.directions[:, None] - self.directions[None], axis=2)
        engine.neighbors = np.argsort(distance, axis=1, kind="stable")[:, :neighbours]
        return engine

    def _children(self, engine: MOEAD, n: int) -> Population:
        """Children of neighbours, for weight vectors in random order."""
        k = len(self.directions)
        order = np.concatenate([self.rng.permutation(k) for _ in range(-(-n // k))])[:n]
        parents = engine.selection.do(
            self.problem, engine.pop, n, 2, neighbors=engine.neighbors[order], random_state=self.rng
        )
        children = engine.mating.do(
            self.problem, engine.pop, n, parents=parents, n_max_iterations=1, random_state=self.rng
        )
        return np.asarray(children.get("X"), dtype=np.int64)

    def _survive(self, engine: MOEAD, new: Individuals) -> Individuals:
        merged = Individuals.merge(engine.pop, new)
        scores, violations = merged.get("F"), merged.get("G")[:, 0]
        values = self._values(scores, violations)
        if len(self.archs) < len(self.directions):
            # The population is empty: each weight vector takes the best row.
            return merged[[np.lexsort((column, violations))[0] for column in values.T]]
        holder = np.arange(len(self.archs))
        for row in range(len(self.archs), len(merged)):
            near = engine.neighbors[values[row].argmin()]
            held = holder[near]
            less = violations[row] < violations[held]
            equal = violations[row] == violations[held]
            better = less | (equal & (values[row, near] < values[held, near]))
            holder[near[better]] = row
        return merged[holder]

    def _values(self, scores: Scores, violations: NDArray[np.float64]) -> NDArray[np.float64]:
        """Score of each row under each weight vector, ``(n, k)``, smaller is better."""
        fair = scores[violations <= 0] if (violations <= 0).any() else scores
        low, span = fair.min(axis=0), np.ptp(fair, axis=0)
        scaled = (scores - low) / np.where(span > 0, span, 1.0)
        found = self.decomposition.do(
            scaled, self.directions, _type="many_to_many", ideal_point=np.zeros(self.n_objectives)
        )
        return np.asarray(found)
