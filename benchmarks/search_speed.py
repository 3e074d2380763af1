"""Distinct archs scored a second by a whole search, against the predictor alone and pymoo.

    python -m benchmarks.search_speed [--predictor NPZ] [--latency-table JSON] [--threads 1] --json OUT

Once-for-all's MobileNetV3 space with resolution (46 genes), an accuracy MLP and a latency table, 10,000
archs. Rounds are interleaved, so that a busy machine slows all rows alike; a ratio compares a row with the
predictor of the same round. Beside wall time stands the processor time of this process, which other processes
disturb less. The forms of the two files are in ``benchmarks/ofa.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.ofa import AccuracyMLP, LatencyTable, Layout
from benchmarks.pymoo_baseline import pymoo_nsga2
from search.fronts.front import hypervolume
from search.optimise import optimise
from search.problem import Problem

ARCHS, ALONE_BATCH = 10_000, 1_000
# Once-for-all's own finder, as measured before (design.md §6); not run here.
OFA_FINDER_PER_S = 3_400.0

Row = tuple[int, float, float, float]  # distinct archs, wall seconds, processor seconds, hypervolume


def rounds(problem: Problem, n_rounds: int) -> dict[str, list[Row]]:
    """Distinct archs, seconds and hypervolume of each row, ``n_rounds`` times in turn."""
    rng = np.random.default_rng(12345)
    reference = problem.score(problem.space.sample(rng, 2_000))[0].max(axis=0)
    sample = np.unique(problem.space.sample(rng, ARCHS + 200), axis=0)[:ARCHS]

    def alone(_seed: int) -> np.ndarray[Any, Any]:
        parts = [problem.score(sample[at : at + ALONE_BATCH])[0] for at in range(0, len(sample), ALONE_BATCH)]
        return np.concatenate(parts)

    def ours(seed: int) -> np.ndarray[Any, Any]:
        return optimise(problem, "nsga2", ARCHS, seed, reference=reference).scores

    def pymoo(seed: int) -> np.ndarray[Any, Any]:
        return pymoo_nsga2(problem, ARCHS, seed)

    contenders: dict[str, Callable[[int], np.ndarray[Any, Any]]] = {
        "predictor alone": alone,
        "ours": ours,
        "pymoo nsga2": pymoo,
    }
    rows: dict[str, list[Row]] = {name: [] for name in contenders}
    for seed in range(n_rounds):
        for name, run in contenders.items():
            started, processor = time.perf_counter(), time.process_time()
            scores = run(seed)
            seconds, processor = time.perf_counter() - started, time.process_time() - processor
            rows[name].append((len(scores), seconds, processor, hypervolume(scores, reference)))
    return rows


def table(rows: dict[str, list[Row]]) -> list[dict[str, Any]]:
    """Medians over rounds; ratios are taken round by round."""
    alone, alone_cpu = speeds(rows["predictor alone"])
    out = []
    for name, results in rows.items():
        wall, cpu = speeds(results)
        ratios = [s / a for s, a in zip(wall, alone, strict=True)]
        cpu_ratios = [s / a for s, a in zip(cpu, alone_cpu, strict=True)]
        volumes = [volume for *_, volume in results]
        out.append(
            {
                "algorithm": name,
                "archs_per_s": statistics.median(wall),
                "archs_per_s_range": [min(wall), max(wall)],
                "ratio_to_predictor": statistics.median(ratios),
                "ratio_range": [min(ratios), max(ratios)],
                "archs_per_cpu_s": statistics.median(cpu),
                "cpu_ratio_to_predictor": statistics.median(cpu_ratios),
                "cpu_ratio_range": [min(cpu_ratios), max(cpu_ratios)],
                "hypervolume": statistics.mean(volumes),
                "hypervolume_sd": statistics.stdev(volumes) if len(volumes) > 1 else 0.0,
                "distinct_archs": statistics.median(n for n, *_ in results),
            }
        )
    reference = {
        "algorithm": "once-for-all finder (reference figure, not run)",
        "archs_per_s": OFA_FINDER_PER_S,
    }
    return [
        *out,
        {**reference, "ratio_to_predictor": OFA_FINDER_PER_S / statistics.median(alone), "hypervolume": None},
    ]


def speeds(results: list[Row]) -> tuple[list[float], list[float]]:
    """Distinct archs a wall second and a processor second, round by round."""
    return [n / wall for n, wall, _, _ in results], [n / cpu for n, _, cpu, _ in results]


def main() -> None:
    """Run, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--predictor", type=Path, help="weights 0.weight 0.bias … 6.bias; seeded random ones without"
    )
    parser.add_argument("--latency-table", type=Path, help="JSON; a seeded one without")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    layout = Layout()
    surrogates = {
        ("accuracy", None): AccuracyMLP(layout, arguments.predictor),
        ("latency_ms", "table"): LatencyTable(layout, arguments.latency_table),
    }
    problem = Problem(layout.space, [("accuracy", None), ("latency_ms", "table")], surrogates=surrogates)
    with threadpool_limits(arguments.threads):
        problem.score(layout.space.sample(np.random.default_rng(0), ALONE_BATCH))
        found = table(rounds(problem, arguments.rounds))
    meta = {
        "archs": ARCHS,
        "threads": arguments.threads,
        "rounds": arguments.rounds,
        "predictor": "file" if arguments.predictor else "seeded random weights",
        "latency_table": "file" if arguments.latency_table else "seeded",
        "load_average": os.getloadavg(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
    arguments.json.write_text(json.dumps({"rows": found, "meta": meta}, indent=1) + "\n")
    print(f"{'':50s} {'archs/s':>9s} {'ratio (rounds)':>20s} {'by processor time':>20s} {'hypervolume':>13s}")
    for row in found:
        if "ratio_range" not in row:
            print(f"{row['algorithm']:50s} {row['archs_per_s']:9.0f} {row['ratio_to_predictor']:6.3f}")
            continue
        ratios = " ".join(
            f"{row[key]:6.3f} ({row[spread][0]:.3f}–{row[spread][1]:.3f})"
            for key, spread in (
                ("ratio_to_predictor", "ratio_range"),
                ("cpu_ratio_to_predictor", "cpu_ratio_range"),
            )
        )
        volume = f"{row['hypervolume']:.2f} ± {row['hypervolume_sd']:.2f}"
        print(f"{row['algorithm']:50s} {row['archs_per_s']:9.0f} {ratios} {volume:>13s}")


if __name__ == "__main__":
    main()
