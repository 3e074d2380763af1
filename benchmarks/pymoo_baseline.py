"""pymoo's NSGA-II on a ``Problem``, set up as its documentation does for integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.problem import Problem as PymooProblem
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import IntegerRandomSampling
from pymoo.optimize import minimize

from search.problem import Problem


class Recorded(PymooProblem):  # type: ignore[misc]
    """Scores integer genomes with a problem of ours and keeps what was new."""

    def __init__(self, problem: Problem) -> None:
        space = problem.space
        upper = space.cardinalities - 1
        super().__init__(n_var=space.d, n_obj=problem.n_objectives, xl=np.zeros(space.d), xu=upper, vtype=int)
        self.problem = problem
        self.archs: list[NDArray[np.int64]] = []
        self.scores: list[NDArray[np.float64]] = []

    def _evaluate(self, x: NDArray[Any], out: dict[str, Any], *_args: Any, **_kwargs: Any) -> None:
        archs = self.problem.space.canonical(np.rint(x).astype(np.int64))
        out["F"] = self.problem.score(archs)[0]
        self.archs.append(archs)
        self.scores.append(out["F"])


def algorithm(population: int) -> NSGA2:
    """NSGA-II with SBX (0.9, eta 15), polynomial mutation (eta 20), rounding and no duplicates."""
    return NSGA2(
        pop_size=population,
        sampling=IntegerRandomSampling(),
        crossover=SBX(prob=0.9, eta=15, repair=RoundingRepair(), vtype=float),
        mutation=PM(eta=20, repair=RoundingRepair(), vtype=float),
        eliminate_duplicates=True,
    )


def pymoo_nsga2(problem: Problem, evaluations: int, seed: int, population: int = 100) -> NDArray[np.float64]:
    """Scores ``(n, m)`` of the distinct archs among the first ``evaluations`` that pymoo scored."""
    recorded = Recorded(problem)
    minimize(recorded, algorithm(population), ("n_eval", evaluations), seed=seed)
    archs = np.concatenate(recorded.archs)[:evaluations]
    first = np.unique(archs, axis=0, return_index=True)[1]
    return np.asarray(np.concatenate(recorded.scores)[first])
