"""How complete the fronts of a search on predictors are: share of the best known hypervolume, by case and seed.

    python -m benchmarks.complete_fronts [--predictor NPZ] [--latency-table JSON] [--stand-in 0 1 2] \
        [--long 200000] [--seeds 3] --json OUT

Once-for-all's MobileNetV3 space with resolution, as in ``benchmarks/search_speed.py``; without files the weights and
the table are stand-ins, one set for each seed of ``--stand-in``. Cases: ``free`` has accuracy and latency; ``three``
adds peak activation memory;
``tight`` has limits on latency and memory that 1 of 1,000 random archs or fewer meet together. The best known front of
a case is that of all its runs together, so shares can only fall with more runs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.ofa import AccuracyMLP, LatencyTable, Layout
from search.constraints import Constraint, Key
from search.fronts.front import hypervolume, non_dominated
from search.optimise import optimise
from search.problem import Problem, Surrogate
from supernets.families.mobilenet_v3 import MobileNetV3
from supernets.metrics import ACTIVATION, LATENCY

Values = NDArray[np.float64]
SHORT, SAMPLE = 10_000, 20_000
TABLE = "table"
ALGORITHMS = ("nsga2", "unsga3")


@dataclass(frozen=True)
class Case:
    """A problem and the reference point ``(m,)`` of its hypervolume."""

    problem: Problem
    reference: Values


def cases(predictor: Path | None, table: Path | None, stand_in: int = 0) -> dict[str, Case]:
    """The problems, on the same two predictors."""
    layout, family = Layout(), MobileNetV3.from_config({})
    surrogates: Mapping[Key, Surrogate] = {
        ("accuracy", None): AccuracyMLP(layout, predictor, stand_in),
        (LATENCY, TABLE): LatencyTable(layout, table, stand_in),
    }
    sample = layout.space.sample(np.random.default_rng(12345), SAMPLE)
    latency = surrogates[LATENCY, TABLE].predict(sample)[0]
    memory = family.costs(sample)[ACTIVATION]
    limits = [
        Constraint(LATENCY, TABLE, None, float(np.quantile(latency, 0.002))),
        Constraint(ACTIVATION, None, None, float(np.quantile(memory, 0.2))),
    ]
    two: list[tuple[str, str | None]] = [("accuracy", None), (LATENCY, TABLE)]
    found = {}
    for name, objectives, constraints in (
        ("free", two, []),
        ("three", [*two, (ACTIVATION, None)], []),
        ("tight", two, limits),
    ):
        problem = Problem(
            layout.space, objectives, surrogates=surrogates, costs=family.costs, constraints=constraints
        )
        found[name] = Case(problem, problem.score(sample)[0].max(axis=0))
    return found


def feasible_front(case: Case, algorithm: str, evaluations: int, seed: int) -> Values:
    """Scores ``(k, m)`` of the non-dominated feasible archs of one run."""
    result = optimise(case.problem, algorithm, evaluations, seed, reference=case.reference)
    scores = result.scores[result.violations <= 0]
    return np.asarray(scores[non_dominated(scores)])


@dataclass(frozen=True)
class Row:
    """One algorithm with one budget: the share of the best known hypervolume, one a seed."""

    algorithm: str
    evaluations: int
    shares: list[float]


def shares(case: Case, long: int, seeds: int) -> list[Row]:
    """Each algorithm and budget; 0 where nothing feasible was found."""
    runs = {
        (algorithm, evaluations): [
            feasible_front(case, algorithm, evaluations, seed) for seed in range(seeds)
        ]
        for algorithm in ALGORITHMS
        for evaluations in (SHORT, long)
        if evaluations == SHORT or algorithm == "nsga2"
    }
    best = hypervolume(
        np.concatenate([front for fronts in runs.values() for front in fronts]), case.reference
    )
    return [
        Row(algorithm, evaluations, [hypervolume(f, case.reference) / max(best, 1e-12) for f in fronts])
        for (algorithm, evaluations), fronts in runs.items()
    ]


def main() -> None:
    """Run, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--predictor", type=Path, help="as benchmarks.search_speed")
    parser.add_argument("--latency-table", type=Path, help="as benchmarks.search_speed")
    parser.add_argument(
        "--long", type=int, default=200_000, help="evaluations of the runs that set the best known"
    )
    parser.add_argument("--stand-in", type=int, nargs="+", default=[0, 1, 2], help="used without both files")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    rows: list[dict[str, object]] = []
    files = (arguments.predictor, arguments.latency_table)
    with threadpool_limits(1):
        for stand_in in [0] if all(files) else arguments.stand_in:
            for name, case in cases(*files, stand_in).items():
                for row in shares(case, arguments.long, arguments.seeds):
                    rows.append({"stand_in": stand_in, "case": name} | asdict(row))
                    text = " ".join(f"{share:.3f}" for share in row.shares)
                    print(f"{stand_in} {name:6s} {row.algorithm:8s} {row.evaluations:7d}  {text}", flush=True)
    meta = {"predictor": "file" if arguments.predictor else "seeded", "seeds": arguments.seeds}
    arguments.json.write_text(json.dumps({"rows": rows, "meta": meta}, indent=1) + "\n")


if __name__ == "__main__":
    main()
