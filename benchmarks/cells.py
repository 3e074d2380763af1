"""Spaces given by a table of measured archs, and surrogates for them.

Only encodings, parameter and MAC counts are read besides what a search has paid for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular

from predictors.accuracy.gaussian_process import maximise_likelihood
from supernets.spaces.space import Axis, Population, Space

Values = NDArray[np.float64]
Matrix = NDArray[np.float64]

# Edges of a NAS-Bench-201 cell in the order of its digits: (from, to).
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
PATHS = ((3,), (0, 4), (1, 5), (0, 2, 5))
NONE, SKIP = 0, 1
LIKELIHOOD_ROWS = 150
LEAST_SHARE = 0.01
JITTER = 1e-6


@dataclass(frozen=True)
class CellTable:
    """Archs of a parquet with a column ``ops`` of digits; one row an arch."""

    frame: pd.DataFrame
    digits: NDArray[np.int64]

    @classmethod
    def read(cls, path: Path) -> CellTable:
        """Raises ``ValueError`` where ``ops`` is missing or ragged."""
        frame = pd.read_parquet(path)
        if "ops" not in frame or frame["ops"].str.len().nunique() != 1:
            raise ValueError(f"{path.name} needs a column 'ops' with the same number of digits in each row")
        digits = np.array([[int(c) for c in ops] for ops in frame["ops"]], dtype=np.int64)
        return cls(frame, digits)

    @cached_property
    def space(self) -> Space:
        """One axis a digit."""
        highest = int(self.digits.max())
        return Space([Axis(f"op{i}", "op", tuple(range(highest + 1))) for i in range(self.digits.shape[1])])

    @cached_property
    def features(self) -> list[Matrix]:
        """Groups of features ``(rows, f)``: encoding, paths through the cell, sizes; each of variance about 1."""
        digits = self.digits
        groups = []
        if digits.shape[1] == len(EDGES):
            digits = _without_dead_edges(digits)
            groups += [_paths(digits), _depths(digits)]
        groups.insert(0, _one_hot(digits))
        sizes = [c for c in self.frame.columns if c.startswith(("params", "flops", "macs"))]
        if sizes:
            groups.append(np.log(self.frame[sizes].to_numpy(float)))
        return [_scaled(group) for group in groups]


def _scaled(group: Matrix) -> Matrix:
    centred = group - group.mean(axis=0)
    return centred / max(float(np.sqrt(centred.var(axis=0).sum())), 1e-12)


def _one_hot(digits: NDArray[np.int64]) -> Matrix:
    return (digits[:, :, None] == np.arange(digits.max() + 1)).reshape(len(digits), -1).astype(np.float64)


def _without_dead_edges(digits: NDArray[np.int64]) -> NDArray[np.int64]:
    """Operations on no path from input to output become "none": the network is the same."""
    live = np.zeros(digits.shape, dtype=bool)
    for path in PATHS:
        open_path = (digits[:, path] != NONE).all(axis=1)
        for edge in path:
            live[:, edge] |= open_path
    return np.where(live, digits, NONE)


def _paths(digits: NDArray[np.int64]) -> Matrix:
    """How often each sequence of operations leads from input to output; skips leave no trace."""
    names: dict[tuple[int, ...], int] = {}
    rows = []
    for row in digits.tolist():
        found: dict[int, float] = {}
        for path in PATHS:
            ops = [row[edge] for edge in path]
            if NONE not in ops:
                key = names.setdefault(tuple(op for op in ops if op != SKIP), len(names))
                found[key] = found.get(key, 0.0) + 1.0
        rows.append(found)
    counts = np.zeros((len(rows), len(names)))
    for index, found in enumerate(rows):
        counts[index, list(found)] = list(found.values())
    return counts


def _depths(digits: NDArray[np.int64]) -> Matrix:
    """Least, mean and most operations of each kind on a path from input to output, and live edges of each kind."""
    kinds = int(digits.max()) + 1
    alive = np.stack([(digits[:, path] != NONE).all(axis=1) for path in PATHS], axis=1)
    count = np.stack(
        [[(digits[:, path] == k).sum(axis=1) for path in PATHS] for k in range(1, kinds)]
    )  # (k, p, n)
    work = np.concatenate([count, count[1:].sum(axis=0, keepdims=True)]).transpose(2, 1, 0).astype(np.float64)
    some = alive.any(axis=1)[:, None]
    mask = alive[:, :, None]
    least = np.where(some, np.where(mask, work, 9.0).min(axis=1), 0.0)
    most = np.where(mask, work, 0.0).max(axis=1)
    mean = np.where(mask, work, 0.0).sum(axis=1) / np.maximum(alive.sum(axis=1), 1)[:, None]
    edges = (digits[:, :, None] == np.arange(1, kinds)).sum(axis=1)
    table = np.concatenate([least, most, mean, edges, alive.sum(axis=1)[:, None]], axis=1)
    return np.asarray(table / np.maximum(table.std(axis=0), 1e-12))


class TableProcess:
    """Gaussian process over the rows of a table; a sum of linear and squared exponential kernels a group.

    ``log_of`` makes it model ``log(log_of - sign * y)``: with the best possible accuracy, the log of the error,
    whose differences near the top count as much as larger ones at the bottom.
    """

    def __init__(self, table: CellTable, log_of: float | None = None, sign: float = 1.0) -> None:
        self._features = table.features
        self._radix = (int(table.digits.max()) + 1) ** np.arange(table.digits.shape[1])
        self._where = np.full(int(table.digits.max() + 1) ** table.digits.shape[1], -1)
        self._where[table.digits @ self._radix] = np.arange(len(table.digits))
        self._log_of, self._sign = log_of, sign
        self._rows = np.zeros(0, dtype=np.int64)

    def _at(self, archs: Population) -> NDArray[np.int64]:
        return self._where[np.ascontiguousarray(archs) @ self._radix]

    def _parts(
        self, left: NDArray[np.int64], right: NDArray[np.int64], wanted: set[int] | None = None
    ) -> list[Matrix]:
        """Kernels of rows against rows: for each group a linear one and three widths; only ``wanted`` ones if given."""
        parts = []
        for g, group in enumerate(self._features):
            here = {k for k in range(4) if wanted is None or 4 * g + k in wanted}
            if not here:
                continue
            a, b = group[left], group[right]
            product = a @ b.T
            if 0 in here:
                parts.append(product)
            if here - {0}:
                squares = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1)[None, :]
                wide = np.exp(np.maximum(squares - 2 * product, 0.0) / -8.0)
                for k in (1, 2, 3):
                    if k in here:
                        parts.append(wide)
                    if k < max(here):
                        wide = np.square(np.square(wide))
        return parts

    def fit(self, archs: Population, y: Values) -> None:
        """Shares of the kernels by marginal likelihood on at most 150 rows, weights on all."""
        self._rows = self._at(archs)
        z = np.asarray(y, dtype=np.float64)
        if self._log_of is not None:
            z = np.log(np.maximum(self._log_of - self._sign * z, 1e-3))
            # Nets that hardly learn would drown the others: how bad they are does not matter.
            z = np.minimum(z, np.median(z) + 2.0 * (np.median(z) - z.min()))
        self._mean, self._unit = float(z.mean()), float(z.std()) or 1.0
        target = (z - self._mean) / self._unit
        some = np.linspace(0, len(z) - 1, min(len(z), LIKELIHOOD_ROWS)).astype(np.int64)
        rows = self._rows[some]
        self._shares = maximise_likelihood(
            np.stack([*self._parts(rows, rows), np.eye(len(rows))]), target[some]
        )
        # Kernels that explain next to nothing cost as much as others.
        kernels = self._shares[:-1]
        kept = np.flatnonzero(kernels > LEAST_SHARE * kernels.sum())
        self._wanted = dict(zip(kept.tolist(), kernels[kept].tolist(), strict=True))
        parts = self._parts(self._rows, self._rows, set(self._wanted))
        cover = sum(s * p for s, p in zip(self._wanted.values(), parts, strict=True)) + np.zeros(
            (len(z), len(z))
        )
        cover[np.diag_indices_from(cover)] += self._shares[-1] + JITTER
        self._factor = cholesky(cover, lower=True)
        self._weights = cho_solve((self._factor, True), target)

    def predict(self, archs: Population) -> tuple[Values, Values]:
        """Mean and standard deviation ``(n,)`` of the value that an evaluation would give."""
        mean, std = self._latent(archs)
        if self._log_of is None:
            return mean, std
        centre = np.exp(mean)
        return self._sign * (self._log_of - centre), centre * std

    def _latent(self, archs: Population) -> tuple[Values, Values]:
        at = self._at(archs)
        means, stds = [np.zeros(0)], [np.zeros(0)]
        for start in range(0, len(at), 4096):
            rows = at[start : start + 4096]
            parts = self._parts(self._rows, rows, set(self._wanted))
            cross = sum(s * p for s, p in zip(self._wanted.values(), parts, strict=True))
            own = np.full(len(rows), self._shares[-1])
            for k, share in self._wanted.items():
                own += share * (np.square(self._features[k // 4][rows]).sum(axis=1) if k % 4 == 0 else 1.0)
            explained = np.square(solve_triangular(self._factor, cross, lower=True)).sum(axis=0)
            means.append(self._weights @ cross)
            stds.append(np.sqrt(np.maximum(own - explained, 1e-10)))
        return self._mean + self._unit * np.concatenate(means), self._unit * np.concatenate(stds)

    def quantile(self, archs: Population, p: float) -> Values:
        """Normal quantile."""
        mean, std = self.predict(archs)
        return mean + std * NormalDist().inv_cdf(p)
