"""pymoo's algorithms (Blank & Deb 2020, doi:10.1109/ACCESS.2020.2990567) with the ask and tell interface.

pymoo does parent selection and survival. Crossover and mutation are those of the space, so children are members
and no real-valued operator has to be rounded. pymoo's objects are rebuilt at every ask and tell from the arrays
of :meth:`PymooSearch.state`, so nothing is pickled and a restored search is identical.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Mapping
from math import comb
from typing import cast

import numpy as np
from numpy.typing import NDArray
from pymoo.algorithms.base.genetic import GeneticAlgorithm
from pymoo.core.crossover import Crossover
from pymoo.core.mutation import Mutation
from pymoo.core.population import Population as Individuals
from pymoo.core.problem import Problem as PymooProblem
from pymoo.util.reference_direction import UniformReferenceDirectionFactory

from search.algorithm import Algorithm, ScoredState, Scores
from search.errors import AlgorithmError
from search.seen import fresh, start_set
from supernets.spaces.space import Population, Space

ROUNDS = 4
START = 40  # archs that are told before the first children
CHUNK = 20  # told rows are processed in chunks of this size, as with small asks


class SpaceCrossover(Crossover):  # type: ignore[misc]
    """Uniform crossover of active genes; one child per pair, for nine of ten pairs."""

    def __init__(self, space: Space) -> None:
        super().__init__(n_parents=2, n_offsprings=1, prob=0.9)
        self._space = space

    def _do(
        self,
        _problem: object,
        x: NDArray[np.int64],
        *_args: object,
        random_state: np.random.Generator,
        **_kwargs: object,
    ) -> NDArray[np.int64]:
        return self._space.crossover(random_state, x[0], x[1])[None]


class SpaceMutation(Mutation):  # type: ignore[misc]
    """About one gene per child, at least one."""

    def __init__(self, space: Space) -> None:
        super().__init__(prob=1.0)
        self._space = space

    def _do(
        self,
        _problem: object,
        x: NDArray[np.int64],
        *_args: object,
        random_state: np.random.Generator,
        **_kwargs: object,
    ) -> Population:
        return self._space.mutate(random_state, x, 1.0 / self._space.d)


class PymooState(ScoredState):
    """Survivors in order, and how many rows were told."""

    told: int


class PymooSearch(Algorithm):
    """An algorithm of pymoo; a subclass defines its engine and its survival selection.

    The first ``START`` archs are spread over sizes. ``population`` archs survive.
    """

    def __init__(self, space: Space, n_objectives: int, seed: int, *, population: int = 100) -> None:
        """``population`` is how many archs survive; at least 8."""
        super().__init__(space, n_objectives, seed)
        if population < 8:
            raise AlgorithmError(f"population must be at least 8, got {population}")
        self.population = population
        self.archs: Population = np.zeros((0, space.d), dtype=np.int64)
        self.scores: Scores = np.zeros((0, n_objectives))
        self.violations = np.zeros(0)
        self.told = 0
        # The bounds are not used: the operators are those of the space.
        self.problem = PymooProblem(n_var=space.d, n_obj=n_objectives, n_ieq_constr=1, xl=0, xu=1, vtype=int)

    @abstractmethod
    def _engine(self) -> GeneticAlgorithm:
        """pymoo's algorithm with its population in place, ready to mate."""

    @abstractmethod
    def _survive(self, engine: GeneticAlgorithm, new: Individuals) -> Individuals:
        """The survivors of the engine's population and ``new``."""

    def operators(self) -> dict[str, object]:
        """The crossover and mutation of every engine."""
        return {"crossover": SpaceCrossover(self.space), "mutation": SpaceMutation(self.space)}

    def _ready(self) -> GeneticAlgorithm:
        engine = self._engine()
        engine.pop = individuals(self.archs, self.scores, self.violations)
        engine.random_state = self.rng
        return engine

    def _ask(self, n: int) -> Population:
        """A spread start, then pymoo's children of the survivors; random members if there are no new children."""
        parts = [np.zeros((0, self.space.d), dtype=np.int64)]
        if len(self.seen) == 0:
            parts.append(self.seen.take(start_set(self.space, self.rng, min(n, START)), n))
        if self.told >= min(START, self.population) and len(self.archs) >= 2:
            engine, missing = self._ready(), n
            for _ in range(ROUNDS):
                if missing <= 0:
                    break
                parts.append(self.seen.take(self._children(engine, missing), missing))
                missing -= len(parts[-1])
        parts.append(fresh(self.space, self.rng, self.seen, n - sum(map(len, parts))))
        return np.concatenate(parts)

    def _children(self, engine: GeneticAlgorithm, n: int) -> Population:
        """About ``n`` children; the caller drops duplicates."""
        children = engine.mating.do(
            self.problem, engine.pop, n, n_max_iterations=1, algorithm=engine, random_state=self.rng
        )
        return np.asarray(children.get("X"), dtype=np.int64).reshape(-1, self.space.d)

    def _learn(self, archs: Population, scores: Scores, violations: NDArray[np.float64]) -> None:
        with warnings.catch_warnings():  # pymoo changes the filters of the whole process
            for at in range(0, len(archs), CHUNK):
                rows = slice(at, at + CHUNK)
                new = individuals(archs[rows], scores[rows], violations[rows])
                kept = self._survive(self._ready(), new)
                self.archs = np.asarray(kept.get("X"), dtype=np.int64)
                self.scores = np.asarray(kept.get("F"), dtype=np.float64)
                self.violations = np.asarray(kept.get("G"), dtype=np.float64)[:, 0]
                self.told += len(new)

    def state(self) -> dict[str, object]:
        """Survivors in order, the random generator and the seen archs."""
        return {
            **super().state(),
            "told": self.told,
            "archs": self.archs.tolist(),
            "scores": self.scores.tolist(),
            "violations": self.violations.tolist(),
        }

    def restore(self, state: Mapping[str, object]) -> None:
        """Restore a :meth:`state`."""
        super().restore(state)
        saved = cast(PymooState, state)
        self.told = int(saved["told"])
        self.archs = np.array(saved["archs"], dtype=np.int64).reshape(-1, self.space.d)
        self.scores = np.array(saved["scores"], dtype=np.float64).reshape(-1, self.n_objectives)
        self.violations = np.array(saved["violations"], dtype=np.float64)


def individuals(archs: Population, scores: Scores, violations: NDArray[np.float64]) -> Individuals:
    """Scored rows as pymoo individuals."""
    if len(archs) == 0:
        return Individuals.empty()
    return Individuals.new(X=archs, F=scores, G=violations[:, None])


def directions(n_objectives: int, most: int) -> NDArray[np.float64]:
    """Up to ``most`` evenly spread weights ``(k, m)`` that sum to 1 (Das & Dennis 1998).

    With more objectives than ``most`` there is one weight per objective.
    """
    if n_objectives == 1:
        return np.ones((1, 1))
    steps = 1
    while steps < most and comb(steps + n_objectives, n_objectives - 1) <= most:
        steps += 1
    return np.asarray(UniformReferenceDirectionFactory(n_objectives, n_partitions=steps).do())
