"""One target of a latency table: its rows under the protocol, and every method that predicts its test rows."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.linear_model import BayesianRidge

from benchmarks.latency_figures import Answer
from benchmarks.tables import TableFamily, device_family, encode, read_table
from predictors.latency.bayesian_linear import BayesianLinear
from predictors.latency.few_shot import FewShot, half_width
from predictors.latency.source_devices import SourceDevice, SourceDevices
from predictors.latency.surface import LatencySurface
from predictors.latency.transfer import FewShotTransfer
from predictors.latency.trees import GradientTrees
from predictors.predictor import Predictor
from predictors.quality.gaussian_process import GaussianProcess
from predictors.scope import Scope

KNOWN_ROWS, TEST_ROWS = 900, 1900
CEILING_ROWS = 2000
HELP_SHARE = 0.8
# Logarithms are taken of no less than this share of a device's median.
LEAST_SHARE = 0.02
# How far the oracle's features move from predicted to measured.
ORACLE_SHARES = (0.25, 0.5, 1.0)
Values = NDArray[np.float64]


class MeasuredTarget(SourceDevice):
    """What no predictor may have: predictions moved a ``share`` of the way to what was measured (the ``oracle``)."""

    def __init__(self, known: SourceDevice, share: float, archs: NDArray[np.int64], y: Values) -> None:
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
    _known: dict[str, SourceDevice] = field(default_factory=dict)

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

    def known(self, name: str) -> SourceDevice:
        """A model of a known column from rows 0..899."""
        if name not in self._known:
            y = self.column(name)[:KNOWN_ROWS]
            usable = np.flatnonzero(np.isfinite(y))
            model = LatencySurface(self.family, self.scope(name))
            model.fit(self.archs[usable], y[usable])
            self._known[name] = SourceDevice(model, device_family(name))
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
        self.known = SourceDevices(table.family, [table.known(name) for name in self.known_names])

    @cached_property
    def oracles(self) -> list[SourceDevices]:
        """What is known, moved towards what the known devices measured on the test archs."""
        table, found = self.table, [self.known]
        for share in ORACLE_SHARES:
            targets = [
                MeasuredTarget(known, share, table.archs, table.column(name))
                for known, name in zip(self.known.targets, self.known_names, strict=True)
            ]
            found.append(SourceDevices(table.family, targets, self.known.prior))
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

    def _ours(self, known: SourceDevices) -> FewShotTransfer:
        return FewShotTransfer(self.table.family, self.table.scope(self.name), known=known)


def _spearman(left: Values, right: Values) -> float:
    return float(np.corrcoef(rankdata(left), rankdata(right))[0, 1])
