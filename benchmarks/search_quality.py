"""How near the true front a search comes after a number of real evaluations, on tables where everything is known.

    python -m benchmarks.search_quality --table T.parquet --latency COL [COL …] --accuracy COL \\
        --budgets 50 100 200 500 --seeds 10 --json OUT

One evaluation reveals one arch's accuracy and its latency on the device. A table that is no path is looked
up in ``NETWRIGHT_DATA``.

*regret*: accuracy points lost at 20 latency limits (the device's 5 % … 95 % quantiles) against the best
arch that truly meets each, mean over limits; where nothing found fits, the lowest accuracy of the true
front counts. *share*: of the true front's hypervolume, with reference accuracy max(nadir, best − 15
points) and latency 1.1 x the slowest point of the front.

``--elsewhere COL`` adds the row ``ours+elsewhere``: accuracies of another data set are known before the search,
those of an earlier search for them (``--known search``) or of random archs (``--known N``).
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cells import CellTable
from benchmarks.elsewhere import START as START_ELSEWHERE
from benchmarks.elsewhere import Elsewhere, ErrorWithPrior, amount, prior_of
from benchmarks.linas import linas
from benchmarks.lowfi import PAID_FOR, ShortTrainings, play_with, short_column
from benchmarks.pymoo_baseline import pymoo_on_table
from search.algorithm import Algorithm, make_algorithm
from search.fronts.front import hypervolume, non_dominated
from search.problem import Surrogate

Values = NDArray[np.float64]
QUANTILES = np.linspace(0.05, 0.95, 20)
START, BATCH = 20, 2
ELSEWHERE = "ours+elsewhere"


@dataclass(frozen=True)
class Case:
    """One device of one table: true accuracy (points, higher is better) and latency of each usable row."""

    table: CellTable
    accuracy: Values
    latency: Values
    column: str
    device: str

    @property
    def scores(self) -> NDArray[np.float64]:
        """``(n, 2)``, minimised."""
        return np.stack([-self.accuracy, self.latency], axis=1)


def case(table: CellTable, accuracy: str, latency: str) -> Case:
    """Rows without a latency or accuracy are left out of the space."""
    for column in (accuracy, latency):
        if column not in table.frame:
            raise SystemExit(f"no column {column!r}; choices: {', '.join(table.frame.columns)}")
    usable = table.frame[[accuracy, latency]].notna().all(axis=1).to_numpy()
    kept = CellTable(table.frame[usable].reset_index(drop=True), table.digits[usable])
    values = [kept.frame[column].to_numpy(float) for column in (accuracy, latency)]
    return Case(kept, values[0], values[1], accuracy, latency)


class Judge:
    """Regret and share of the archs found so far, against the exact front."""

    def __init__(self, of: Case) -> None:
        self.of = of
        scores = of.scores
        front = scores[non_dominated(scores)]
        self.limits = np.quantile(of.latency, QUANTILES)
        self.best = np.array([of.accuracy[of.latency <= limit].max() for limit in self.limits])
        self.lowest = -front[:, 0].max()
        self.reference = np.array([-max(self.lowest, -front[:, 0].min() - 15.0), 1.1 * front[:, 1].max()])
        self.volume = hypervolume(front, self.reference)

    def __call__(self, rows: NDArray[np.int64]) -> tuple[float, float]:
        """Mean regret in points, and share, of the archs in ``rows`` (``PAID_FOR`` is none)."""
        rows = rows[rows != PAID_FOR]
        accuracy, latency = self.of.accuracy[rows], self.of.latency[rows]
        found = [max(accuracy[latency <= limit].max(initial=-np.inf), self.lowest) for limit in self.limits]
        share = hypervolume(self.of.scores[rows], self.reference) / self.volume
        return float(np.mean(self.best - np.array(found))), share


def play(algorithm: Algorithm, of: Case, budget: int, batch: int) -> NDArray[np.int64]:
    """Rows in the order in which ``algorithm`` paid for them; archs the table lacks cost nothing and tell nothing."""
    rows: list[int] = []
    for _ in range(4 * budget):  # more asks than evaluations only where the table has holes
        if len(rows) >= budget:
            break
        archs = algorithm.ask(min(batch, budget - len(rows)))
        if len(archs) == 0:
            break
        at = of.table.rows(archs)
        found = at[at >= 0]
        algorithm.tell(archs[at >= 0], of.scores[found], np.zeros(len(found)))
        rows += found.tolist()
    return np.array(rows, dtype=np.int64)


def ours(of: Case, seed: int, trainings: ShortTrainings | None = None) -> Algorithm:
    """Surrogates of the log of the error and of latency; candidates are the rows of the table."""
    table = of.table
    caches: tuple[dict[str, Values], dict[str, Values]] = ({}, {})

    def error() -> Surrogate:
        features = table.quality_groups
        if trainings is None:
            return table.process(features, caches[0], log_of=100.0, sign=-1.0)
        return table.process(features, trainings.cache, log_of=100.0, sign=-1.0, more=trainings.groups)

    models = [error, lambda: table.process(table.groups, caches[1])]
    return make_algorithm("surrogate", table.space, 2, seed, models=models, members=table.digits, start=START)


def ours_with_short_trainings(of: Case, budget: int, seed: int) -> NDArray[np.int64]:
    """``ours+lowfi``: see ``benchmarks.lowfi``."""
    column = short_column(of.table.frame, of.column)
    if column is None:
        raise SystemExit(
            f"ours+lowfi needs 12-epoch accuracies beside {of.column!r}; leave it out with --rows"
        )
    trainings = ShortTrainings(of.table, column, seed)
    return play_with(
        ours(of, seed, trainings), lambda: ours(of, 0, trainings), trainings, of.scores, budget, BATCH
    )


def ours_with_elsewhere(of: Case, budget: int, seed: int, elsewhere: Elsewhere) -> NDArray[np.int64]:
    """``ours+elsewhere``: the same search, given evaluations of another data set; see ``benchmarks.elsewhere``."""
    table = of.table

    def earlier(column: str, evaluations: int) -> NDArray[np.int64]:
        there = case(table, column, of.device)
        return table.rows(there.table.digits[play(ours(there, seed + 100), there, evaluations, BATCH)])

    rows, accuracy = elsewhere.known(table, earlier, seed + 100)
    prior = prior_of(table, rows, accuracy)
    caches: list[dict[str, Values]] = [{}, {}, {}]
    models = [
        lambda: ErrorWithPrior(table, [prior], caches[:2]),
        lambda: table.process(table.groups, caches[2]),
    ]
    algorithm = make_algorithm(
        "surrogate", table.space, 2, seed, models=models, members=table.digits, start=START_ELSEWHERE
    )
    return play(algorithm, of, budget, BATCH)


Contender = Callable[[Case, int, int], NDArray[np.int64]]


def contenders(elsewhere: Elsewhere | None = None) -> dict[str, Contender]:
    """Name to ``(case, budget, seed) -> rows`` in the order they were paid for."""
    known: dict[str, Contender] = {}
    if elsewhere is not None:
        known[ELSEWHERE] = lambda of, budget, seed: ours_with_elsewhere(of, budget, seed, elsewhere)
    return known | {
        "random": lambda of, budget, seed: np.random.default_rng(seed).permutation(len(of.accuracy))[:budget],
        "pymoo nsga2": lambda of, budget, seed: pymoo_on_table(of.table, of.scores, budget, seed),
        "linas": lambda of, budget, seed: linas(of.table, of.scores, budget, seed),
        "ours": lambda of, budget, seed: play(ours(of, seed), of, budget, BATCH),
        "ours+lowfi": ours_with_short_trainings,
    }


def allowed(table: CellTable, accuracy: str, elsewhere: Elsewhere | None = None) -> list[str]:
    """All rows, but for those that need a column which the table lacks; prints which."""
    rows = list(contenders(elsewhere))
    if short_column(table.frame, accuracy) is None:
        rows.remove("ours+lowfi")
        print(f"left out: ours+lowfi, for want of 12-epoch accuracies beside {accuracy!r}")
    return rows


def main() -> None:
    """Run, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--latency", nargs="+", required=True)
    parser.add_argument("--accuracy", required=True)
    parser.add_argument("--budgets", nargs="+", type=int, default=[50, 100, 200, 500])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument(
        "--rows", nargs="+", choices=[*contenders(), ELSEWHERE], help="all that the table allows"
    )
    parser.add_argument("--elsewhere", metavar="COL", help="accuracy of another data set, known in part")
    parser.add_argument("--known", type=amount, metavar="search|N", help="which of it: search by default")
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    path = arguments.table
    if not path.exists():
        path = Path(os.environ.get("NETWRIGHT_DATA", ".")) / path
    table = CellTable.read(path)
    elsewhere = Elsewhere(arguments.elsewhere, arguments.known) if arguments.elsewhere else None
    arguments.rows = arguments.rows or allowed(table, arguments.accuracy, elsewhere)
    if ELSEWHERE in arguments.rows and elsewhere is None:
        parser.error(f"{ELSEWHERE} needs --elsewhere COL, the accuracy of another data set")
    runs = contenders(elsewhere)
    results: list[dict[str, Any]] = []
    for latency in arguments.latency:
        of = case(table, arguments.accuracy, latency)
        judge = Judge(of)
        for name in arguments.rows:
            results += one(of, judge, name, runs[name], arguments)
    whole = {c for c in arguments.latency if float(table.frame[c].dropna().mod(1).abs().max()) == 0.0}
    rows = [{**r, "whole_ms": r["latency"] in whole} for r in results]
    one_each = list(rows)
    for kind, label in ((False, "all devices"), (True, "all devices in whole ms")):
        rows += pooled([r for r in one_each if r["whole_ms"] is kind], label)
    for row in rows:
        for list_name in ("regrets", "shares"):
            row.pop(list_name, None)
    meta = {
        "table": path.name,
        "accuracy": arguments.accuracy,
        "seeds": arguments.seeds,
        "start": START,
        "batch": BATCH,
        "elsewhere": None if elsewhere is None else asdict(elsewhere),
    }
    arguments.json.write_text(json.dumps({"rows": rows, "meta": meta}, indent=1) + "\n")
    for row in rows:
        if row["latency"].startswith("all"):
            print(f"{row['algorithm']:14s} {row['latency']:24s} {row['budget']:4d}  {numbers(row)}")


def numbers(row: dict[str, Any]) -> str:
    """One line of figures."""
    return (
        f"regret {row['regret_mean']:.3f} (median {row['regret_median']:.3f})  "
        f"share {row['share_median']:.4f} [{row['share_q25']:.4f}, {row['share_q75']:.4f}]"
    )


def one(
    of: Case, judge: Judge, name: str, contender: Contender, arguments: argparse.Namespace
) -> list[dict[str, Any]]:
    """All seeds of one row on one device; a budget is a prefix of the longest run."""
    budgets = sorted(arguments.budgets)
    figures = np.zeros((arguments.seeds, len(budgets), 2))
    started = time.perf_counter()
    for seed in range(arguments.seeds):
        rows = contender(of, budgets[-1], seed)
        figures[seed] = [judge(rows[:budget]) for budget in budgets]
    seconds = (time.perf_counter() - started) / arguments.seeds
    out = []
    for k, budget in enumerate(budgets):
        regrets, shares = figures[:, k, 0].tolist(), figures[:, k, 1].tolist()
        out.append(
            {"algorithm": name, "latency": of.device, "budget": budget, "seconds_per_run": seconds}
            | summary(regrets, shares)
            | {"regrets": regrets, "shares": shares}
        )
        print(
            f"{name:14s} {of.device:28s} {budget:4d}  {numbers(out[-1])}  {seconds:.1f} s a run", flush=True
        )
    return out


def summary(regrets: list[float], shares: list[float]) -> dict[str, float]:
    """Mean and quartiles."""
    low, middle, high = np.quantile(shares, [0.25, 0.5, 0.75])
    return {
        "regret_mean": float(np.mean(regrets)),
        "regret_median": float(np.median(regrets)),
        "regret_q25": float(np.quantile(regrets, 0.25)),
        "regret_q75": float(np.quantile(regrets, 0.75)),
        "share_median": float(middle),
        "share_q25": float(low),
        "share_q75": float(high),
    }


def pooled(rows: list[dict[str, Any]], label: str) -> list[dict[str, Any]]:
    """The same figures over all devices and seeds together."""
    out = []
    for name, budget in dict.fromkeys((r["algorithm"], r["budget"]) for r in rows):
        same = [r for r in rows if (r["algorithm"], r["budget"]) == (name, budget)]
        regrets, shares = sum((r["regrets"] for r in same), []), sum((r["shares"] for r in same), [])
        out.append({"algorithm": name, "latency": label, "budget": budget} | summary(regrets, shares))
    return out


if __name__ == "__main__":
    main()
