"""How time and memory grow with population, genes, objectives and archive, beside pymoo's equivalents.

    python -m benchmarks.search_scale [--largest 1000000] [--json OUT]

*sort*: ranks of all points; *select*: the best 100 of them by rank and crowding; *archive*: 1,000 new points
come to a front of n points that do not dominate each other; *seen*: 1,000 archs come to n that were seen;
*generation*: one ask and tell of a search. Each size is its own process: the time is the least of a few
repetitions in processor seconds, the memory the largest that Python and NumPy held at once beyond the inputs.
The exponent is the slope of log time over log n; that of n log n itself is 1.1 over these sizes. A contender
that would need too much for a size is left out from there on.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

Work = Callable[[], object]
REPEATS, ENOUGH_S = 5, 1.0
BATCH = 1_000
MOST_MB = 2_000.0
LIMIT_S = 30.0  # of wall time for one size, start of the process included


# --- inputs -------------------------------------------------------------------------------------------


def cloud(n: int, m: int) -> NDArray[np.float64]:
    """``n`` points in the unit cube, in general position: many fronts."""
    return np.random.default_rng(n + m).random((n, m))


def front(n: int, m: int, seed: int = 0) -> NDArray[np.float64]:
    """``n`` points of a concave front, none of which dominates another."""
    points = np.abs(np.random.default_rng(seed + n + m).normal(size=(n, m)))
    return np.asarray(1.0 - points / np.linalg.norm(points, axis=1)[:, None])


def staircase(n: int) -> NDArray[np.float64]:
    """``n`` points, each dominated by the one before: as many fronts as points."""
    return np.repeat(np.random.default_rng(n).permutation(n)[:, None].astype(float), 2, axis=1)


# --- work: each takes n and m and gives what is timed --------------------------------------------------


def sort_ours(n: int, m: int) -> Work:
    """All ranks."""
    from search.fronts.front import ranks

    points = cloud(n, m)
    return lambda: ranks(points)


def sort_pymoo(n: int, m: int) -> Work:
    """All ranks, by pymoo's fast non-dominated sort."""
    from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

    points, sorting = cloud(n, m), NonDominatedSorting()
    return lambda: sorting.do(points)


def stairs_ours(n: int, _m: int) -> Work:
    """All ranks where every point is a front of its own."""
    from search.fronts.front import ranks

    points = staircase(n)
    return lambda: ranks(points)


def stairs_pymoo(n: int, _m: int) -> Work:
    """The same by pymoo."""
    from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

    points, sorting = staircase(n), NonDominatedSorting()
    return lambda: sorting.do(points)


def select_ours(n: int, m: int) -> Work:
    """The best 100."""
    from search.fronts.front import best_first

    points = cloud(n, m)
    return lambda: best_first(points, 100)


def select_pymoo(n: int, m: int) -> Work:
    """The best 100, by pymoo's survival of NSGA-II."""
    from pymoo.core.population import Population
    from pymoo.core.problem import Problem
    from pymoo.operators.survival.rank_and_crowding import RankAndCrowding

    people = Population.new(X=np.zeros((n, 1)), F=cloud(n, m))
    problem, survival = Problem(n_var=1, n_obj=m), RankAndCrowding()
    return lambda: survival.do(problem, people, n_survive=100)


def archive_ours(n: int, m: int) -> Work:
    """A batch comes to a front."""
    from search.fronts.front import non_dominated, with_new

    known, new = front(n, m), front(BATCH, m, 1)
    known = known[np.argsort(known[:, 0])] if m == 2 else known[non_dominated(known)]
    return lambda: with_new(known, new)


def archive_pymoo(n: int, m: int) -> Work:
    """A batch comes to a front, by pymoo's search for non-dominated points."""
    from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

    both, sorting = np.concatenate([front(n, m), front(BATCH, m, 1)]), NonDominatedSorting()
    return lambda: both[sorting.do(both, only_non_dominated_front=True)]


def seen_ours(n: int, m: int) -> Work:
    """A batch comes to a set of archs; ``m`` is the number of genes."""
    from search.seen import Seen

    space, rng = wide_space(m), np.random.default_rng(0)
    seen, batch = Seen(space), space.sample(rng, BATCH)
    for at in range(0, n, 10_000):
        seen.add(space.sample(rng, min(10_000, n - at)))
    return lambda: seen.new(batch)


def seen_pymoo(n: int, m: int) -> Work:
    """A batch is compared with all archs, as pymoo's removal of duplicates does."""
    from pymoo.core.duplicate import DefaultDuplicateElimination
    from pymoo.core.population import Population

    space, rng = wide_space(m), np.random.default_rng(0)
    batch, known = (Population.new(X=space.sample(rng, k)) for k in (BATCH, n))
    return lambda: DefaultDuplicateElimination().do(batch, known)


def generation_ours(n: int, m: int) -> Work:
    """One generation of ``n`` archs of ``m`` genes by NSGA-II, costs aside."""
    from search.algorithm import make_algorithm

    space = wide_space(m)
    algorithm = make_algorithm("nsga2", space, 2, 0, population=max(4, n // 10))

    def step() -> None:
        archs = algorithm.ask(n)
        algorithm.tell(archs, toy_scores(archs), np.zeros(len(archs)))

    step()
    step()
    return step


def generation_pymoo(n: int, m: int) -> Work:
    """The same by pymoo, as ``benchmarks/pymoo_baseline.py`` sets it up."""
    from pymoo.core.problem import Problem

    from benchmarks.pymoo_baseline import algorithm

    engine = algorithm(n)
    engine.setup(Problem(n_var=m, n_obj=2, xl=0, xu=2, vtype=int), seed=0)

    def step() -> None:
        children = engine.ask()
        children.set("F", toy_scores(children.get("X")))
        engine.tell(infills=children)

    step()
    return step


def wide_space(genes: int) -> Any:
    """This many independent axes with three choices."""
    from supernets.spaces.space import Axis, Space

    return Space([Axis(f"a{i}", "kernel", (3, 5, 7)) for i in range(genes)])


def toy_scores(archs: NDArray[Any]) -> NDArray[np.float64]:
    """Two scores that contradict each other."""
    genes = archs.astype(np.float64)
    weight = np.linspace(0.5, 1.5, genes.shape[1])
    return np.stack([genes @ weight, -np.sqrt(genes) @ weight[::-1]], axis=1)


# --- what is run ---------------------------------------------------------------------------------------

OURS: dict[str, Callable[[int, int], Work]] = {
    "sort": sort_ours,
    "sort, a front a point": stairs_ours,
    "select": select_ours,
    "archive": archive_ours,
    "seen": seen_ours,
    "generation": generation_ours,
}
PYMOO: dict[str, Callable[[int, int], Work]] = {
    "sort": sort_pymoo,
    "sort, a front a point": stairs_pymoo,
    "select": select_pymoo,
    "archive": archive_pymoo,
    "seen": seen_pymoo,
    "generation": generation_pymoo,
}
KINDS = {"ours": OURS, "pymoo": PYMOO}
ARCHIVES, POPULATIONS = (1_000, 10_000, 100_000, 1_000_000), (100, 300, 1_000, 3_000, 10_000)
# What, what the second number means, its values, and the sizes.
PLAN: tuple[tuple[str, str, tuple[int, ...], tuple[int, ...]], ...] = (
    ("sort", "objectives", (2, 3, 4, 5), ARCHIVES),
    ("sort, a front a point", "objectives", (2,), ARCHIVES),
    ("select", "objectives", (2, 3, 4, 5), ARCHIVES),
    ("archive", "objectives", (2, 3, 4, 5), ARCHIVES),
    ("seen", "genes", (46,), ARCHIVES),
    ("generation", "genes", (10, 46, 200), POPULATIONS),
)


def measured(contender: str, what: str, n: int, second: int) -> dict[str, float | None]:
    """Least processor seconds of a few repetitions, and the peak of one more, in MB beyond the inputs."""
    work = KINDS[contender][what](n, second)
    times: list[float] = []
    while len(times) < REPEATS and sum(times) < ENOUGH_S:
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    if times[0] > LIMIT_S / 10:  # tracing makes it several times slower
        return {"seconds": min(times), "peak_mb": None}
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    return {"seconds": min(times), "peak_mb": peak / 1e6}


def in_child(
    contender: str, what: str, n: int, second: int, limit_s: float
) -> dict[str, float | None] | None:
    """The result of :func:`measured` in a process of its own; nothing where it takes longer than ``limit_s``."""
    call = [sys.executable, "-m", "benchmarks.search_scale", "--one", contender, what, str(n), str(second)]
    try:
        done = subprocess.run(call, capture_output=True, text=True, timeout=limit_s, check=True)
    except subprocess.TimeoutExpired:
        return None
    found: dict[str, float | None] = json.loads(done.stdout)
    return found


def series(
    contender: str, what: str, second: int, wanted: Sequence[int], limit_s: float
) -> list[dict[str, Any]]:
    """One row a size, from small to large; a size that would take too much by the last two ends it."""
    rows: list[dict[str, Any]] = []
    for n in wanted:
        if len(rows) >= 2:
            expected = {k: grown(rows[-2][k], rows[-1][k]) for k in ("seconds", "peak_mb")}
            if expected["seconds"] > limit_s / 3 or expected["peak_mb"] > MOST_MB:
                break
        found = in_child(contender, what, n, second, limit_s)
        if found is None:
            break
        rows.append({"contender": contender, "what": what, "n": n, "second": second, **found})
    return rows


def grown(before: float | None, last: float | None) -> float:
    """What comes after ``last`` when it grows as it did from ``before``; 0 where that was not measured."""
    if before is None or last is None:
        return 0.0
    return last * max(last / max(before, 1e-9), 1.0)


def exponent(rows: list[dict[str, Any]], least_s: float = 1e-4) -> float | None:
    """Slope of log seconds over log n, over the rows that take long enough to say something; at least three."""
    told = [(row["n"], row["seconds"]) for row in rows if row["seconds"] >= least_s]
    if len(told) < 3:
        return None
    n, seconds = np.log(np.array(told)).T
    return float(np.polyfit(n, seconds, 1)[0])


def main() -> None:
    """Run, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--largest", type=int, default=1_000_000, help="no size above this")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds for one size")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        contender, what, n, second = options.one
        print(json.dumps(measured(contender, what, int(n), int(second))))
        return
    rows: list[dict[str, Any]] = []
    fits: list[dict[str, Any]] = []
    console = Console(stderr=True)
    for what, meaning, seconds, sizes in PLAN:
        for second in seconds:
            for contender in KINDS:
                with console.status(f"{what}, {second} {meaning}, {contender}"):
                    wanted = [n for n in sizes if n <= options.largest]
                    found = series(contender, what, second, wanted, options.limit)
                rows += found
                fits.append(summary(contender, what, f"{second} {meaning}", found))
    _print(fits)
    meta = {
        "batch": BATCH,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "load_average": os.getloadavg(),
    }
    if options.json:
        options.json.write_text(json.dumps({"rows": rows, "fits": fits, "meta": meta}, indent=1) + "\n")


def summary(contender: str, what: str, second: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Exponent, and time and memory at the largest size that was run."""
    last = rows[-1] if rows else {"n": 0, "seconds": None, "peak_mb": None}
    return {
        "what": what,
        "with": second,
        "contender": contender,
        "exponent": exponent(rows),
        "largest": last["n"],
        "seconds": last["seconds"],
        "peak_mb": last["peak_mb"],
    }


def _print(fits: list[dict[str, Any]]) -> None:
    table = Table("what", "with", "contender", "exponent", "largest n", "ms there", "peak MB there")
    for fit in fits:
        slope = "-" if fit["exponent"] is None else f"{fit['exponent']:.2f}"
        ms = "-" if fit["seconds"] is None else f"{1e3 * fit['seconds']:.2f}"
        peak = "-" if fit["peak_mb"] is None else f"{fit['peak_mb']:.1f}"
        row = [slope, f"{fit['largest']:,}", ms, peak]
        table.add_row(fit["what"], fit["with"], fit["contender"], *row)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
