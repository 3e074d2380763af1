"""Spaces given by a table of measured archs, and the features of their rows.

Only encodings, parameter and MAC counts are read besides what a search has paid for. Where a column
``arch_str`` spells the archs out as cells (``|op~from|op~from|+|…|``, a node between two ``+``), paths
through the cell are features too; without it every digit is a choice of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.feature_process import FeatureProcess, Group, counts, scaled
from supernets.spaces.space import Axis, Population, Space

Values = NDArray[np.float64]
Matrix = NDArray[np.float64]
Digits = NDArray[np.int64]

SIZES = ("params", "flops", "macs")
NONE, SKIP = "none", "skip_connect"


@dataclass(frozen=True)
class CellTable:
    """Archs of a parquet with a column ``ops`` of digits; one row an arch."""

    frame: pd.DataFrame
    digits: Digits

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
        """One axis a digit, all of one kind."""
        highest = int(self.digits.max())
        return Space([Axis(f"op{i}", "op", tuple(range(highest + 1))) for i in range(self.digits.shape[1])])

    @cached_property
    def groups(self) -> list[Group]:
        """Features of every row for what a net costs: operations, sizes, and how a cell's operations hang together."""
        one_hot, often = self.space.features(self.digits).astype(float), counts(self.space, self.digits)
        groups = [Group(scaled(often.astype(float)), (1.0,)), Group(scaled(one_hot), (2.0, 1.0, 0.5))]
        groups += self._sizes
        if self.cell is not None:
            live = self.cell.without_dead_edges(self.digits)
            used = self.cell.without_unused_edges(self.digits)
            groups += [Group(scaled(counts(self.space, digits).astype(float)), ()) for digits in (live, used)]
            groups += [
                Group(scaled(table), (2.0, 1.0, 0.5))
                for table in (self.cell.paths(live), self.cell.depths(live))
            ]
        return groups

    @cached_property
    def quality_groups(self) -> list[Group]:
        """Features of every row for what a net can learn; of cells, only what changes the function they compute.

        Few groups, so that few shares have to be found from the first tens of rows.
        """
        if self.cell is None:
            return self.groups
        live = self.cell.without_dead_edges(self.digits)
        depths, paths = scaled(self.cell.depths(live)), scaled(self.cell.paths(live))
        both = np.concatenate([paths, depths], axis=1)
        return [Group(depths, (2.0, 1.0, 0.5)), Group(scaled(both.astype(float)), (4.0, 2.0, 1.0, 0.5))]

    @cached_property
    def cell(self) -> Cell | None:
        """The graph that all rows share, where the table spells it out."""
        return Cell.declared_by(self)

    @cached_property
    def _sizes(self) -> list[Group]:
        names = [c for c in self.frame.columns if c.startswith(SIZES)]
        if not names:
            return []
        size = self.frame[names].to_numpy(float)
        return [Group(scaled(size), ()), Group(scaled(np.log(np.maximum(size, 1e-9))), (2.0, 1.0))]

    @cached_property
    def _keys(self) -> tuple[Digits, Digits, Digits]:
        """A number for each row: multipliers, sorted numbers, and the row of each."""
        rng = np.random.default_rng(0)
        factors = rng.integers(1, 2**62, self.digits.shape[1])
        keys = self.digits @ factors  # wraps around; checked to be distinct
        order = np.argsort(keys)
        if (np.diff(keys[order]) == 0).any():
            raise ValueError("every row of 'ops' may occur once only")
        return factors, keys[order], order

    def rows(self, archs: Population) -> Digits:
        """Row of each arch, -1 where the table lacks it."""
        factors, keys, order = self._keys
        wanted = np.ascontiguousarray(archs) @ factors
        at = order[np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)]
        return np.where((self.digits[at] == archs).all(axis=1), at, -1)

    def process(
        self,
        features: list[Group],
        cache: dict[str, Values],
        log_of: float | None = None,
        sign: float = 1.0,
        more: Callable[[Population], list[Group]] | None = None,
    ) -> FeatureProcess:
        """A model of one column of this table that reads nothing but ``features``, and ``more`` if given."""

        def groups(archs: Population) -> list[Group]:
            rows = self.rows(archs)
            own = [Group(group.values[rows], group.widths) for group in features]
            return own if more is None else own + more(archs)

        return FeatureProcess(groups, log_of=log_of, sign=sign, cache=cache)


@dataclass(frozen=True)
class Cell:
    """A small graph whose edges carry the operations; edges as (from, to), in the order of the digits."""

    edges: tuple[tuple[int, int], ...]
    none: int
    skip: int
    routes: tuple[tuple[int, ...], ...] = field(init=False)

    def __post_init__(self) -> None:
        last, routes = max(to for _, to in self.edges), []
        pending: list[tuple[int, tuple[int, ...]]] = [(0, ())]
        while pending:  # edges lead upwards, so every route ends
            node, route = pending.pop()
            if node == last:
                routes.append(route)
            pending += [(to, (*route, e)) for e, (start, to) in enumerate(self.edges) if start == node]
        object.__setattr__(self, "routes", tuple(routes))

    @classmethod
    def declared_by(cls, table: CellTable) -> Cell | None:
        """The digits in ``arch_str``; ``None`` without such a column or where it has another form."""
        if "arch_str" not in table.frame:
            return None
        names: dict[int, str] = {}
        edges: set[tuple[tuple[int, int], ...]] = set()
        for text, digits in zip(table.frame["arch_str"], table.digits.tolist(), strict=True):
            parts = [
                (op, int(start), node + 1)
                for node, part in enumerate(str(text).split("+"))
                for op, start in re.findall(r"([^|~]+)~(\d+)", part)
            ]
            edges.add(tuple((start, to) for _, start, to in parts))
            if len(parts) != len(digits) or any(
                names.setdefault(digit, op) != op for digit, (op, _, _) in zip(digits, parts, strict=True)
            ):
                return None
        ops = {name: digit for digit, name in names.items()}
        if len(edges) != 1 or NONE not in ops or SKIP not in ops:
            return None
        found = edges.pop()
        return cls(found, ops[NONE], ops[SKIP]) if all(start < to for start, to in found) else None

    def without_dead_edges(self, digits: Digits) -> Digits:
        """Operations on no path from input to output become "none": the output is the same."""
        live = np.zeros(digits.shape, dtype=bool)
        for route in self.routes:
            through = (digits[:, route] != self.none).all(axis=1)
            for edge in route:
                live[:, edge] |= through
        return np.where(live, digits, self.none)

    def without_unused_edges(self, digits: Digits) -> Digits:
        """Operations from which no path leads to the output become "none": a compiler removes them too."""
        last = max(to for _, to in self.edges)
        used = np.zeros((len(digits), last + 1), dtype=bool)
        used[:, last] = True
        for edge in sorted(range(len(self.edges)), key=lambda e: -self.edges[e][1]):
            start, to = self.edges[edge]
            used[:, start] |= (digits[:, edge] != self.none) & used[:, to]
        return np.where(used[:, [to for _, to in self.edges]], digits, self.none)

    def paths(self, digits: Digits) -> Matrix:
        """How often each sequence of operations leads from input to output; skips leave no trace."""
        names: dict[tuple[int, ...], int] = {}
        rows = []
        for row in digits.tolist():
            found: dict[int, float] = {}
            for route in self.routes:
                ops = [row[edge] for edge in route]
                if self.none not in ops:
                    key = names.setdefault(tuple(op for op in ops if op != self.skip), len(names))
                    found[key] = found.get(key, 0.0) + 1.0
            rows.append(found)
        table = np.zeros((len(rows), len(names)))
        for index, found in enumerate(rows):
            table[index, list(found)] = list(found.values())
        return table

    def depths(self, digits: Digits) -> Matrix:
        """Least, mean and most operations of each kind on a path, live edges of each kind, and live paths."""
        kinds = [k for k in range(int(digits.max()) + 1) if k != self.none]
        alive = np.stack([(digits[:, route] != self.none).all(axis=1) for route in self.routes], axis=1)
        count = np.stack([[(digits[:, route] == k).sum(axis=1) for route in self.routes] for k in kinds])
        work = count[[k != self.skip for k in kinds]].sum(axis=0, keepdims=True)
        each = (
            np.concatenate([count, work]).transpose(2, 1, 0).astype(np.float64)
        )  # (rows, routes, kinds + 1)
        mask = alive[:, :, None]
        some = alive.any(axis=1)[:, None]
        least = np.where(some, np.where(mask, each, np.inf).min(axis=1), 0.0)
        total = np.where(mask, each, 0.0)
        mean = total.sum(axis=1) / np.maximum(alive.sum(axis=1), 1)[:, None]
        edges = (digits[:, :, None] == np.array(kinds)).sum(axis=1)
        table = np.concatenate(
            [least, total.max(axis=1), mean, edges, alive.sum(axis=1)[:, None]], axis=1
        ).astype(np.float64)
        return np.asarray(table / np.maximum(table.std(axis=0), 1e-12))
