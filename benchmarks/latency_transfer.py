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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.linear_model import BayesianRidge

from benchmarks.latency_figures import Answer, figures, pick_figures, summary
from benchmarks.tables import TableFamily, device_family, encode, read_table
from predictors.accuracy.gaussian_process import GaussianProcess
from predictors.latency.bayesian_linear import BayesianLinear
from predictors.latency.few_shot import FewShot, half_width
from predictors.latency.known import KnownTarget, KnownTargets
from predictors.latency.surface import LatencySurface
from predictors.latency.transfer import FewShotTransfer
from predictors.latency.trees import GradientTrees
from predictors.predictor import Predictor
from predictors.scope import Scope

KNOWN_ROWS, TEST_ROWS = 900, 1900
CEILING_ROWS = 2000
HELP_SHARE = 0.8
# Logarithms are taken of no less than this share of a device's median.
LEAST_SHARE = 0.02
# How far the oracle's features move from predicted to measured.
ORACLE_SHARES = (0.25, 0.5, 1.0)
# Methods that know no other device; they are slow, and beaten, so that few seeds do (see ``--alone-seeds``).
ALONE = ("linear", "trees", "gaussian_process")
PUBLISHED = {
    "HELP": {"samples": "10 reference + 10 fine-tuning", "nasbench201_mean": 0.932, "protocol": "help"},
    "NASFLAT": {"samples": 20, "nasbench201_mean": 0.960, "protocol": "its own"},
}
Values = NDArray[np.float64]


class MeasuredTarget(KnownTarget):
    """What no predictor may have: predictions moved a ``share`` of the way to what was measured (the ``oracle``)."""

    def __init__(self, known: KnownTarget, share: float, archs: NDArray[np.int64], y: Values) -> None:
        self.predictor, self.kin, self.archs, self.y = known.predictor, known.kin, known.archs, known.y
        self._memory = {}
        self._known, self._share = known, share
        self._truth = {row.tobytes(): float(v) for row, v in zip(archs, y, strict=True) if np.isfinite(v)}

    def _predict(self, archs: NDArray[np.int64]) -> Values:
        predicted = self._known.predict(archs)
        measured = [self._truth.get(row.tobytes(), p) for row, p in zip(archs, predicted, strict=True)]
        return predicted + self._share * (np.array(measured) - predicted)


@dataclass
class Table:
    """A table as arrays, and models of its known columns, made once."""

    frame: pd.DataFrame
    family: TableFamily
    archs: NDArray[np.int64]
    flops: Values
    accuracy: Values | None
    _known: dict[str, KnownTarget] = field(default_factory=dict)

    @classmethod
    def read(cls, args: argparse.Namespace) -> Table:
        """The rows that are used, in the space of all rows."""
        frame = read_table(args.table)
        family = TableFamily.from_table(frame, args.arch)
        frame = frame.iloc[: TEST_ROWS + CEILING_ROWS].reset_index(drop=True)
        archs = encode(family.space(), frame, args.arch)
        flops_column = args.flops or next((c for c in ("flops_M_c10", "macs", "flops") if c in frame), None)
        flops = family.costs(archs)["macs"] if flops_column is None else frame[flops_column].to_numpy(float)
        accuracy = args.accuracy or next(
            (c for c in ("acc_cifar10_test_200ep", "token_accuracy") if c in frame), None
        )
        points = None if accuracy is None else frame[accuracy].to_numpy(float)
        if points is not None and np.nanmax(points) <= 1:
            points = 100 * points
        return cls(frame, family, archs, flops, points)

    def column(self, name: str) -> Values:
        """Measured values; what cannot be one is not a number."""
        values = self.frame[name].to_numpy(float)
        return np.where(values > 0, values, np.nan)

    def scope(self, name: str) -> Scope:
        """Whom predictions for a column belong to."""
        return Scope(
            supernet="table", space_sha256=self.family.space().sha256, metric="latency_ms", target=name
        )

    def known(self, name: str) -> KnownTarget:
        """A model of a known column from rows 0..899."""
        if name not in self._known:
            y = self.column(name)[:KNOWN_ROWS]
            usable = np.flatnonzero(np.isfinite(y))
            model = LatencySurface(self.family, self.scope(name))
            model.fit(self.archs[usable], y[usable])
            self._known[name] = KnownTarget(model, device_family(name))
        return self._known[name]


@dataclass
class Task:
    """One target: its pool, its test rows, and what is known."""

    table: Table
    name: str
    known_names: list[str]
    pool: NDArray[np.int64]
    test: NDArray[np.int64]
    rest: NDArray[np.int64]

    def __post_init__(self) -> None:
        table = self.table
        self.y = table.column(self.name)
        self.known = KnownTargets(table.family, [table.known(name) for name in self.known_names])

    @cached_property
    def oracles(self) -> list[KnownTargets]:
        """What is known, moved towards what the known devices measured on the test archs."""
        table, found = self.table, [self.known]
        for share in ORACLE_SHARES:
            targets = [
                MeasuredTarget(known, share, table.archs, table.column(name))
                for known, name in zip(self.known.targets, self.known_names, strict=True)
            ]
            found.append(KnownTargets(table.family, targets, self.known.prior))
        return found

    @cached_property
    def linear(self) -> BayesianLinear:
        """Made once, for its tables take longer than its fits."""
        return BayesianLinear(self.table.family, self.table.scope(self.name))

    @cached_property
    def process(self) -> GaussianProcess:
        """As :attr:`linear`."""
        return GaussianProcess(self.table.family, self.table.scope(self.name))

    @classmethod
    def make(cls, table: Table, name: str, known: Sequence[str], protocol: str) -> Task:
        """The target's rows under the protocol, and the known columns that are not of its device family."""
        y = table.column(name)

        def rows(start: int, stop: int) -> NDArray[np.int64]:
            index = np.arange(start, min(stop, len(y)))
            index = index[np.isfinite(y[index])]
            if protocol == "help":
                edge = (1 - HELP_SHARE) / 2
                low, high = np.quantile(y[index], [edge, 1 - edge])
                index = index[(y[index] >= low) & (y[index] <= high)]
            return index

        others = [k for k in known if device_family(k) != device_family(name)]
        if not others:
            raise SystemExit(f"--known must name a device of another family than {name}, got {list(known)}")
        return cls(
            table, name, others, rows(0, KNOWN_ROWS), rows(KNOWN_ROWS, TEST_ROWS), rows(TEST_ROWS, len(y))
        )

    # --- methods: rows measured -> answer on the test rows -------------------------------------------------

    def informative(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Samples that ours would ask for, from a random half of the pool."""
        half = rng.permutation(self.pool)[: max(len(self.pool) // 2, n)]
        return half[self.known.choose(n, self.table.archs[half], rng)]

    def predicted(self, model: Predictor, rows: NDArray[np.int64]) -> Answer:
        """Fit a predictor to measured rows and ask it about the test rows."""
        archs = self.table.archs
        model.fit(archs[rows], self.y[rows])
        low, upper = model.quantile(archs[self.test], 0.05), model.quantile(archs[self.test], 0.95)
        return Answer(model.predict(archs[self.test])[0], low, upper)

    def flops_only(self, rows: NDArray[np.int64]) -> Answer:
        """A straight line through FLOPs."""
        return self._regressed(np.stack([self.table.flops], axis=1), rows)

    def ridge(self, rows: NDArray[np.int64]) -> Answer:
        """Plain Bayesian ridge: log latency on what models of the known devices predict (its log), and FLOPs."""
        return self._regressed(self._plain, rows, log=True)

    @cached_property
    def _plain(self) -> Values:
        flops = np.maximum(self.table.flops, 1e-9)[:, None]
        predicted = np.stack([target.predict(self.table.archs) for target in self.known.targets], axis=1)
        least = LEAST_SHARE * np.median(predicted[:KNOWN_ROWS], axis=0)
        return np.concatenate([np.log(np.maximum(predicted, least)), flops, np.log(flops)], axis=1)

    def _regressed(self, features: Values, rows: NDArray[np.int64], log: bool = False) -> Answer:
        # Scaled by the pool of known rows, without the target.
        mean, std = features[:KNOWN_ROWS].mean(axis=0), features[:KNOWN_ROWS].std(axis=0)
        features = (features - mean) / np.where(std > 1e-12, std, 1.0)
        unit = float(self.y[rows].mean())
        y = self.y[rows] / unit
        model = BayesianRidge().fit(features[rows], np.log(y) if log else y)
        centre, spread = model.predict(features[self.test], return_std=True)
        ends = np.stack([centre, centre - 1.645 * spread, centre + 1.645 * spread])
        return Answer(*(unit * (np.exp(ends) if log else ends)))

    def oracle(self, rows: NDArray[np.int64]) -> Answer:
        """The best of ours over :attr:`oracles` on the test rows, with the same rows: ours is among them."""
        archs, answers = self.table.archs, []
        for known in self.oracles:
            model = FewShot(known.basis(archs[rows]), self.y[rows], known.prior)
            mean, std = model(known.basis(archs[self.test]))
            half = half_width(std) * self.known.scale(len(rows))
            answers.append(Answer(mean, mean - half, mean + half))
        return max(answers, key=lambda answer: _spearman(answer.mean, self.y[self.test]))

    def ceiling(self) -> tuple[float, int]:
        """Best Spearman correlation of our features with thousands of the target's own rows."""
        rows = np.concatenate([self.pool, self.rest])[:CEILING_ROWS]
        archs = self.table.archs
        own = LatencySurface(self.table.family, self.table.scope(self.name))
        own.fit(archs[rows], self.y[rows])
        shared = FewShot(self.known.basis(archs[rows]), self.y[rows], self.known.prior)
        answers = [
            own.predict(archs[self.test])[0],
            shared(self.known.basis(archs[self.test]))[0],
            self.ridge(rows).mean,
        ]
        return max(_spearman(answer, self.y[self.test]) for answer in answers), len(rows)

    def methods(self) -> dict[str, tuple[int, bool, Callable[[NDArray[np.int64]], Answer]]]:
        """Name → fewest samples, whether samples are chosen for information, method."""
        table, scope = self.table, self.table.scope(self.name)
        return {
            "flops": (2, False, self.flops_only),
            "linear": (8, False, lambda rows: self.predicted(self.linear, rows)),
            "trees": (8, False, lambda rows: self.predicted(GradientTrees(table.family, scope), rows)),
            "gaussian_process": (10, False, lambda rows: self.predicted(self.process, rows)),
            "ridge_on_known": (2, False, self.ridge),
            "ours_random_samples": (5, False, lambda rows: self.predicted(self._ours(self.known), rows)),
            "ours": (5, True, lambda rows: self.predicted(self._ours(self.known), rows)),
            "oracle": (5, True, self.oracle),
        }

    def samples(self, rows: NDArray[np.int64]) -> tuple[Values, Values] | None:
        """Latency and accuracy of what was measured already."""
        accuracy = self.table.accuracy
        return None if accuracy is None else (self.y[rows], accuracy[rows])

    def _ours(self, known: KnownTargets) -> FewShotTransfer:
        return FewShotTransfer(self.table.family, self.table.scope(self.name), known=known)


def _spearman(left: Values, right: Values) -> float:
    return float(np.corrcoef(rankdata(left), rankdata(right))[0, 1])


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


def _kept_rows(path: Path | None) -> list[dict[str, Any]]:
    """Rows of the targets that an earlier run, with the same options, got done before it ended."""
    return json.loads(path.read_text())["rows"] if path is not None and path.exists() else []


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
    args = parser.parse_args(argv)
    table = Table.read(args)
    columns = [str(column) for column in table.frame.columns]
    known, targets = _matching(args.known, columns), _matching(args.target, columns)
    started, rows = time.time(), _kept_rows(args.json)
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
    for target in (target for target in targets if target not in kept):
        task = Task.make(table, target, known, args.protocol)
        rows += run(task, args.samples, args.seeds, alone_seeds, args.methods)
        meta |= {
            "means": _means(rows),
            "first_on_share_of_targets": {n: first_share(rows, n) for n in args.samples},
            "targets_done": len({row["target"] for row in rows}),
            "seconds": round(time.time() - started, 1),
        }
        if args.json:
            args.json.write_text(json.dumps({"rows": rows, "meta": meta}, indent=1))
        print(f"{target}: {time.time() - started:.0f} s", flush=True)
    with pd.option_context(
        "display.width", 220, "display.max_columns", 30, "display.float_format", "{:.3f}".format
    ):
        print(pd.DataFrame(meta["means"]).to_string(index=False))
    print("published:", json.dumps(PUBLISHED))


if __name__ == "__main__":
    main()
