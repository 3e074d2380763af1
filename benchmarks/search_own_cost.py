"""Seconds that the search with surrogates takes for itself, on one thread; evaluations are looked up and cost nothing.

    python -m benchmarks.search_own_cost --evaluations 250 [--table nb201_open.parquet --accuracy COL --latency COL] \\
        --json OUT

The first row is a table, scanned whole; the second once-for-all's MobileNetV3 space with 46 genes, which
cannot be: accuracy and latency are those of ``benchmarks.ofa`` (seeded where no weights are at hand).
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import search_quality
from benchmarks.cells import CellTable
from benchmarks.feature_process import FeatureProcess, space_groups
from benchmarks.ofa import AccuracyMLP, LatencyTable, Layout
from search.algorithm import Algorithm, make_algorithm


def table_seconds(path: Path, accuracy: str, latency: str, evaluations: int) -> float:
    """A whole run on a table, features of its rows included."""
    of = search_quality.case(CellTable.read(path), accuracy, latency)
    started = time.process_time()
    search_quality.play(search_quality.ours(of, 0), of, evaluations, search_quality.BATCH)
    return time.process_time() - started


def ofa_seconds(evaluations: int, batch: int) -> float:
    """A whole run on the space of 46 genes, less what the look-ups took."""
    layout = Layout()
    truth = AccuracyMLP(layout, None), LatencyTable(layout, None)
    groups = space_groups(layout.space)
    caches: tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]] = ({}, {})
    models = [
        lambda: FeatureProcess(groups, cache=caches[0]),
        lambda: FeatureProcess(groups, cache=caches[1]),
    ]
    algorithm: Algorithm = make_algorithm("surrogate", layout.space, 2, 0, models=models)
    total, done = 0.0, 0
    while done < evaluations:
        started = time.process_time()
        archs = algorithm.ask(min(batch, evaluations - done))
        total += time.process_time() - started
        scores = np.stack([-truth[0].predict(archs)[0], truth[1].predict(archs)[0]], axis=1)
        started = time.process_time()
        algorithm.tell(archs, scores, np.zeros(len(archs)))
        total += time.process_time() - started
        done += max(len(archs), 1)
    return total


def main() -> None:
    """Run, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--evaluations", type=int, default=250)
    parser.add_argument("--table", default="nb201_open.parquet")
    parser.add_argument("--accuracy", default="acc_cifar10_test_200ep")
    parser.add_argument("--latency", default="lat_help_1080ti_1")
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    n, rows = arguments.evaluations, list[dict[str, Any]]()
    for batch in (5, 10):
        seconds = ofa_seconds(n, batch)
        rows.append({"space": "ofa, 46 genes", "evaluations": n, "batch": batch, "cpu_seconds": seconds})
    path = Path(arguments.table)
    path = path if path.exists() else Path(os.environ.get("NETWRIGHT_DATA", ".")) / path
    if path.exists():
        seconds = table_seconds(path, arguments.accuracy, arguments.latency, n)
        batch = search_quality.BATCH
        rows.append({"space": path.name, "evaluations": n, "batch": batch, "cpu_seconds": seconds})
    for row in rows:
        print(f"{row['space']:24s} {n} evaluations, {row['batch']} at a time  {row['cpu_seconds']:.1f} s")
    arguments.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
