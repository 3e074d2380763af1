"""pymoo's algorithms (Blank & Deb 2020, doi:10.1109/ACCESS.2020.2990567) behind our ask and tell.

pymoo selects, mates and decides who survives; archs are made by the space's own crossover and mutation, so
that children are members and no real-valued operator is rounded. pymoo's objects are made anew at every ask
and tell from the arrays that :meth:`PymooSearch.state` writes, so that nothing is pickled and a restored
search cannot differ.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Mapping
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymoo.algorithms.base.genetic import GeneticAlgorithm
from pymoo.core.crossover import Crossover
from pymoo.core.mutation import Mutation
from pymoo.core.population import Population as Individuals
from pymoo.core.problem import Problem as PymooProblem
from pymoo.util.reference_direction import UniformReferenceDirectionFactory

from search.algorithm import Algorithm, Scores
from search.errors import AlgorithmError
from search.seen import fresh, start_set
from supernets.spaces.space import Population, Space

ROUNDS = 4
START = 40  # archs that are told before anything breeds
CHUNK = 20  # told rows are taken in so many at a time, as they come from small asks


class SpaceCrossover(Crossover):  # type: ignore[misc]
    """Uniform crossover of active genes; one child a pair, in nine of ten pairs."""

    def __init__(self, space: Space) -> None:
        super().__init__(n_parents=2, n_offsprings=1, prob=0.9)
        self._space = space

    def _do(
        self, _problem: Any, x: Any, *_args: Any, random_state: Any = None, **_kwargs: Any
    ) -> NDArray[np.int64]:
        return self._space.crossover(random_state, x[0], x[1])[None]


class SpaceMutation(Mutation):  # type: ignore[misc]
    """About one gene a child, at least one."""

    def __init__(self, space: Space) -> None:
        super().__init__(prob=1.0)
        self._space = space

    def _do(self, _problem: Any, x: Any, *_args: Any, random_state: Any = None, **_kwargs: Any) -> Population:
        return self._space.mutate(random_state, x, 1.0 / self._space.d)


class PymooSearch(Algorithm):
    """An algorithm of pymoo; a subclass says how it is made and who survives a tell.

    The first ``START`` archs are spread over sizes. ``population`` are kept.
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
        # Real bounds are of no use here: operators are the space's own.
        self.problem = PymooProblem(n_var=space.d, n_obj=n_objectives, n_ieq_constr=1, xl=0, xu=1, vtype=int)

    @abstractmethod
    def _engine(self) -> GeneticAlgorithm:
        """pymoo's algorithm with its population in place, ready to mate."""

    @abstractmethod
    def _survive(self, engine: GeneticAlgorithm, new: Individuals) -> Individuals:
        """Who is kept of the engine's population and ``new``."""

    def operators(self) -> dict[str, Any]:
        """What every engine mates with."""
        return {"crossover": SpaceCrossover(self.space), "mutation": SpaceMutation(self.space)}

    def _ready(self) -> GeneticAlgorithm:
        engine = self._engine()
        engine.pop = individuals(self.archs, self.scores, self.violations)
        engine.random_state = self.rng
        return engine

    def _ask(self, n: int) -> Population:
        """A spread start, then what pymoo makes of the survivors; random members where that is not new."""
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
        """About ``n`` children; copies are left to the caller to drop."""
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

    def state(self) -> dict[str, Any]:
        """Survivors in their order, beside the generator and what was seen."""
        return {
            **super().state(),
            "told": self.told,
            "archs": self.archs.tolist(),
            "scores": self.scores.tolist(),
            "violations": self.violations.tolist(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Become what :meth:`state` described."""
        super().restore(state)
        self.told = int(state["told"])
        self.archs = np.array(state["archs"], dtype=np.int64).reshape(-1, self.space.d)
        self.scores = np.array(state["scores"], dtype=np.float64).reshape(-1, self.n_objectives)
        self.violations = np.array(state["violations"], dtype=np.float64)


def individuals(archs: Population, scores: Scores, violations: NDArray[np.float64]) -> Individuals:
    """pymoo's form of rows that were scored."""
    if len(archs) == 0:
        return Individuals.empty()
    return Individuals.new(X=archs, F=scores, G=violations[:, None])


def directions(n_objectives: int, most: int) -> NDArray[np.float64]:
    """As many evenly spread weights ``(k, m)`` that sum to 1 as fit into ``most``: Das & Dennis 1998.

    With more objectives than ``most`` there is still one for each.
    """
    if n_objectives == 1:
        return np.ones((1, 1))
    steps = 1
    while steps < most and comb(steps + n_objectives, n_objectives - 1) <= most:
        steps += 1
    return np.asarray(UniformReferenceDirectionFactory(n_objectives, n_partitions=steps).do())
