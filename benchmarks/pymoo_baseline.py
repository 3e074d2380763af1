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

from benchmarks.cells import CellTable
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


class Lookup(PymooProblem):  # type: ignore[misc]
    """Scores of a table's rows; digits that the table lacks get the worst of each score."""

    def __init__(self, table: CellTable, scores: NDArray[np.float64], stop_after: int | None = None) -> None:
        upper = table.space.cardinalities - 1
        super().__init__(n_var=table.space.d, n_obj=scores.shape[1], xl=0 * upper, xu=upper, vtype=int)
        self.index = {row.tobytes(): i for i, row in enumerate(table.digits)}
        self.table_scores, self.worst = scores, scores.max(axis=0) + 1.0
        self.met: dict[int, None] = {}
        self.stop_after = stop_after

    def rows(self, x: NDArray[Any]) -> list[int]:
        """Row of each genome, -1 where there is none."""
        return [
            self.index.get(row.tobytes(), -1) for row in np.ascontiguousarray(np.rint(x).astype(np.int64))
        ]

    def _evaluate(self, x: NDArray[Any], out: dict[str, Any], *_args: Any, **_kwargs: Any) -> None:
        at = self.rows(x)
        self.met.update(dict.fromkeys(row for row in at if row >= 0))
        out["F"] = np.array([self.table_scores[row] if row >= 0 else self.worst for row in at])


def pymoo_on_table(
    table: CellTable, scores: NDArray[np.float64], budget: int, seed: int
) -> NDArray[np.int64]:
    """Distinct rows in the order in which NSGA-II (population 20) met them; bounded at 20 x the budget."""
    problem = Lookup(table, scores)
    runner = algorithm(20)
    runner.setup(problem, termination=("n_eval", 20 * budget), seed=seed)
    for _ in range(20 * budget):
        if not runner.has_next() or len(problem.met) >= budget:
            break
        runner.next()
    return np.array(list(problem.met)[:budget], dtype=np.int64)


def nsga2_over_predictions(
    table: CellTable, predicted: NDArray[np.float64], evaluations: int, population: int, seed: int
) -> NDArray[np.int64]:
    """Rows of NSGA-II's final population, searching on ``predicted (rows, m)``."""
    problem = Lookup(table, predicted)
    result = minimize(problem, algorithm(population), ("n_eval", evaluations), seed=seed)
    rows = problem.rows(result.pop.get("X"))
    return np.array([row for row in rows if row >= 0], dtype=np.int64)
