"""Vectorised crossover and mutation of archs."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from supernets.spaces.space import Population, Space

MUTATED = 0.75
TABLE = 4096  # rows of a table of active genes

Genomes = NDArray[np.integer]


def graded(space: Space, rng: np.random.Generator, n: int, spread: float = 0.25) -> Population:
    """``n`` members around levels that are evenly spaced from the smallest network to the largest.

    With independently drawn axes, most costs would be near the middle of the range. Here a level is drawn for
    each row first, and then each axis around it (choices are ordered by size).
    """
    count = np.array([len(choices) for choices in space.allowed])
    level = (np.arange(n) + rng.random(n)) / max(n, 1)
    position = np.clip(level[:, None] + rng.normal(0.0, spread, (n, space.d)), 0.0, 1.0)
    picked = np.minimum((position * count).astype(np.int64), count - 1)
    choices = np.concatenate([np.array(each, dtype=np.int64) for each in space.allowed])
    return space.canonical(choices[np.cumsum(count) - count + picked])


class Activity:
    """Which genes are active, looked up in a table with one row per combination of the parent genes.

    If there are too many combinations for one table, independent trees of axes get separate tables. A single
    tree that is too large is computed by the space.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        parent = {c: space.column(a.parent) for c, a in enumerate(space.axes) if a.parent is not None}
        root = list(range(space.d))
        for column in range(space.d):  # parents come first
            root[column] = root[parent[column]] if column in parent else column
        trees: dict[int, list[int]] = {}
        for column in sorted(set(parent.values())):
            trees.setdefault(root[column], []).append(column)
        groups: list[list[int]] = []
        for columns in trees.values():
            if groups and self._rows([*groups[-1], *columns]) <= TABLE:
                groups[-1] += columns
            else:
                groups.append(list(columns))
        self._tables: list[tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.uint8]]] | None = None
        if all(self._rows(columns) <= TABLE for columns in groups):
            self._tables = [self._table(columns, np.array(root)) for columns in groups]

    def _rows(self, columns: list[int]) -> int:
        return math.prod(int(self._space.cardinalities[column]) for column in columns)

    def _table(
        self, columns: list[int], root: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.uint8]]:
        """Columns, their place values, and which genes of their trees are active, ``(rows, d)``."""
        sizes = [int(self._space.cardinalities[column]) for column in columns]
        rows = np.zeros((math.prod(sizes), self._space.d), dtype=np.int64)
        rows[:, columns] = np.stack(np.unravel_index(np.arange(len(rows)), sizes), axis=1)
        active = self._space.active(rows) | ~np.isin(root, root[columns])
        places = np.array([math.prod(sizes[at + 1 :]) for at in range(len(sizes))], dtype=np.float64)
        return np.array(columns), places, active.astype(np.uint8)

    def __call__(self, genomes: Genomes) -> NDArray[np.uint8]:
        """1 where a gene is active, else 0, ``(n, d)``."""
        if self._tables is None:
            return self._space.active(genomes.astype(np.int64)).astype(np.uint8)
        active: NDArray[np.uint8] | None = None
        for columns, places, table in self._tables:
            found = table.take((genomes[:, columns] @ places).astype(np.int64), axis=0)
            active = found if active is None else active & found
        return np.ones(genomes.shape, dtype=np.uint8) if active is None else active


class Variation:
    """Children of a parent population: uniform crossover, then a mutation of three in four children.

    This is the hot path of a search on predictors. Genomes are bytes if the choices fit, crossover takes one
    random bit per gene and mutation a few numbers per row, while ``Space.crossover`` and ``Space.mutate`` draw
    several floats per gene. Inactive genes of parents are filled at random, so that a gene that a child makes active is
    drawn from all allowed choices.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self._dtype = np.dtype(np.uint8 if int(space.cardinalities.max()) <= 256 else np.int64)
        self._count = np.array([len(choices) for choices in space.allowed])
        self._free = np.flatnonzero(self._count > 1)
        self._choice_at = np.zeros((space.d, int(self._count.max())), dtype=np.int64)
        self._position_of = np.zeros((space.d, int(space.cardinalities.max())), dtype=np.int64)
        self._active = Activity(space)
        self._choices = np.concatenate([np.array(choices, dtype=self._dtype) for choices in space.allowed])
        self._start = np.cumsum(self._count) - self._count
        for column, choices in enumerate(space.allowed):
            self._choice_at[column, : len(choices)] = choices
            self._position_of[column, list(choices)] = np.arange(len(choices))

    def filled(self, rng: np.random.Generator, population: Population) -> Genomes:
        """The rows with a random allowed choice in every inactive gene: a genome, not canonical."""
        draw = rng.integers(0, 1 << 16, population.shape, dtype=np.uint16)
        drawn = self._choices.take(((draw * self._count) >> 16) + self._start)
        active = self._active(population).astype(self._dtype, copy=False)
        return np.asarray(population * active + drawn * (1 - active), dtype=self._dtype)

    def children(
        self, rng: np.random.Generator, genomes: Genomes, left: NDArray[np.int64], right: NDArray[np.int64]
    ) -> Genomes:
        """One member ``(n, d)`` for each pair of rows ``left (n,)``, ``right (n,)`` of filled ``genomes``.

        Three in four, at random, also have one gene mutated; a lower share would give more duplicates.
        """
        n, d = len(left), self._space.d
        bits = np.unpackbits(np.frombuffer(rng.bytes(-(-n * d // 8)), dtype=np.uint8), count=n * d)
        child = genomes.take(right, axis=0)
        other = genomes.take(left, axis=0)
        other ^= child
        other &= np.negative(bits.reshape(n, d).astype(self._dtype, copy=False))  # all ones or none
        child ^= other
        if len(self._free):
            rows = np.flatnonzero(rng.random(n, dtype=np.float32) < MUTATED)
            self._mutate(rng, child, rows, self._free[rng.integers(0, len(self._free), len(rows))])
        child *= self._active(child)
        return child

    def _mutate(
        self, rng: np.random.Generator, child: Genomes, rows: NDArray[np.int64], column: NDArray[np.int64]
    ) -> None:
        """Set one gene of each row to a different allowed choice, in place."""
        count = self._count[column]
        position = self._position_of[column, child[rows, column]]
        step = 1 + (rng.random(len(rows)) * (count - 1)).astype(np.int64)
        child[rows, column] = self._choice_at[column, (position + step) % count]
