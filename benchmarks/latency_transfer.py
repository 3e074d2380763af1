"""Predicted latency on a device never seen, from 5-50 measurements, beside what else one would use.

    python -m benchmarks.latency_transfer --table fbnet_open.parquet --arch ops --known COL … --target COL … \\
        --samples 5 10 20 50 --seeds 10 [--protocol help] [--accuracy COL] [--flops COL] --json OUT

Known devices show rows 0..899 only; samples of the target come from the same rows; test rows are 900..1899.
With ``--protocol help`` both are trimmed to the middle 80 % by that device's latency. Known columns of the
target's own device family are left out. ``*`` in a column is a wildcard.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.figures import read_figures
from benchmarks.latency_figures import figures, pick_figures, summary
from benchmarks.transfer_task import Table, Task

# Methods that know no other device; they are slow, and beaten, so that few seeds do (see ``--alone-seeds``).
ALONE = ("linear", "trees", "gaussian_process")
PUBLISHED = {
    "HELP": {"samples": "10 reference + 10 fine-tuning", "nasbench201_mean": 0.932, "protocol": "help"},
    "NASFLAT": {"samples": 20, "nasbench201_mean": 0.960, "protocol": "its own"},
}


def run(
    task: Task, samples: Sequence[int], seeds: int, alone_seeds: int, wanted: Sequence[str]
) -> list[dict[str, Any]]:
    """All rows of one target."""
    best, rows_used = task.ceiling()
    rows: list[dict[str, Any]] = [
        {
            "method": "ceiling",
            "target": task.name,
            "samples": rows_used,
            "spearman_mean": best,
            "share_of_ceiling": 1.0,
        }
    ]
    truth = task.y[task.test]
    points = None if task.table.accuracy is None else task.table.accuracy[task.test]
    for name, (fewest, chosen, method) in task.methods().items():
        if wanted and name not in wanted:
            continue
        for n in (n for n in samples if n >= fewest):
            found = []
            for seed in range(alone_seeds if name in ALONE else seeds):
                rng = np.random.default_rng((seed, n))
                measured = task.informative(n, rng) if chosen else rng.permutation(task.pool)[:n]
                answer = method(measured)
                picks = pick_figures(answer, truth, points, task.samples(measured))
                found.append({**figures(answer, truth), **picks})
            rows.append({"method": name, "target": task.name, "samples": n, **summary(found, best)})
    return rows


def _matching(patterns: Sequence[str], columns: Sequence[str]) -> list[str]:
    found = [column for pattern in patterns for column in columns if fnmatch.fnmatchcase(column, pattern)]
    missing = [p for p in patterns if not fnmatch.filter(columns, p)]
    if missing or not found:
        raise SystemExit(f"columns must be in the table, {missing} are not; it has {', '.join(columns)}")
    return list(dict.fromkeys(found))


def _means(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over targets of every figure, one row a method and number of samples."""
    frame = pd.DataFrame(rows).drop(columns="target")
    frame["samples"] = frame["samples"].where(frame["method"] != "ceiling", 0)
    grouped = frame.groupby(["method", "samples"], sort=False).mean(numeric_only=True).reset_index()
    worst = frame.groupby(["method", "samples"], sort=False).max(numeric_only=True).reset_index()
    for name in [c for c in grouped if str(c).endswith("_worst")]:
        grouped[name] = worst[name]
    return list(json.loads(grouped.to_json(orient="records")))


def first_share(rows: Sequence[dict[str, Any]], n: int) -> float | None:
    """Share of targets on which ours has the highest mean Spearman of all real methods."""
    frame = pd.DataFrame([r for r in rows if r["samples"] == n and r["method"] not in ("oracle", "ceiling")])
    if frame.empty or "ours" not in set(frame["method"]):
        return None
    rivals = (
        frame[~frame["method"].isin(["ours", "ours_random_samples"])].groupby("target")["spearman_mean"].max()
    )
    ours = frame[frame["method"] == "ours"].set_index("target")["spearman_mean"]
    return float((ours > rivals.reindex(ours.index).fillna(-1)).mean())


def _kept_rows(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Rows of the targets that other runs, with the same options, got done; of each target those of the first file."""
    rows: list[dict[str, Any]] = []
    for path in paths:
        known = {row["target"] for row in rows}
        rows += [row for row in read_figures(path)["rows"] if row["target"] not in known]
    return rows


def _totals(rows: Sequence[dict[str, Any]], samples: Sequence[int]) -> dict[str, Any]:
    return {
        "means": _means(rows),
        "first_on_share_of_targets": {n: first_share(rows, n) for n in samples},
        "targets_done": len({row["target"] for row in rows}),
    }


def _store(path: Path | None, rows: Sequence[dict[str, Any]], meta: dict[str, Any]) -> None:
    if path is not None:
        path.write_text(json.dumps({"rows": rows, "meta": meta}, indent=1))


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--table", required=True, help="parquet or CSV; a bare name is found in NETWRIGHT_DATA"
    )
    parser.add_argument(
        "--arch", nargs="+", action="extend", required=True, help="columns that describe the arch"
    )
    parser.add_argument(
        "--known", nargs="+", action="extend", required=True, help="latency columns of known devices"
    )
    parser.add_argument("--target", nargs="+", action="extend", required=True, help="columns to predict")
    parser.add_argument("--samples", nargs="+", type=int, default=[5, 10, 20, 50])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--alone-seeds", type=int, help="seeds of the rows that know no other device")
    parser.add_argument("--protocol", choices=["all", "help"], default="all")
    parser.add_argument("--methods", nargs="+", default=[], help="only these rows")
    parser.add_argument("--accuracy", help="column of the true accuracy, for constrained picks")
    parser.add_argument("--flops", help="column of FLOPs, where closed form is not wanted")
    parser.add_argument("--json", type=Path, help="written target by target; targets that it holds are kept")
    parser.add_argument(
        "--join",
        type=Path,
        nargs="+",
        default=[],
        help="files of other runs, elsewhere say: their targets are kept",
    )
    args = parser.parse_args(argv)
    table = Table.read(args)
    columns = [str(column) for column in table.frame.columns]
    known, targets = _matching(args.known, columns), _matching(args.target, columns)
    own = [args.json] if args.json is not None and args.json.exists() else []
    started, rows = time.time(), _kept_rows([*own, *args.join])
    kept = {row["target"] for row in rows}
    alone_seeds = args.seeds if args.alone_seeds is None else args.alone_seeds
    meta: dict[str, Any] = {
        "table": Path(args.table).name,
        "known": known,
        "targets": sorted(kept | set(targets)),
        "seeds": args.seeds,
        "seeds_of_rows_that_know_no_other_device": alone_seeds,
        "protocol": args.protocol,
        "published": PUBLISHED,
        "left_out": "known columns of the target's device family",
    }
    for target in [None, *(target for target in targets if target not in kept)]:
        if target is not None:  # else: what is kept already
            task = Task.make(table, target, known, args.protocol)
            rows += run(task, args.samples, args.seeds, alone_seeds, args.methods)
            print(f"{target}: {time.time() - started:.0f} s", flush=True)
        if rows:
            meta |= _totals(rows, args.samples)
            _store(args.json, rows, meta)
    with pd.option_context(
        "display.width", 220, "display.max_columns", 30, "display.float_format", "{:.3f}".format
    ):
        print(pd.DataFrame(meta["means"]).to_string(index=False))
    print("published:", json.dumps(PUBLISHED))


if __name__ == "__main__":
    main()
