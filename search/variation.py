"""Making new archs from good ones, whole batches at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from supernets.spaces.space import Population, Space

MUTATED = 0.5


class Variation:
    """Children of a parent population: uniform crossover, then a mutation in every other one.

    The hot path of a search on predictors, so it draws one random byte a gene for the crossover and a few
    numbers a row for the mutations, where ``Space.crossover`` and ``Space.mutate`` draw several floats a
    gene. Inactive genes of parents are filled at random, so that a gene that a child makes active is drawn
    from all allowed choices.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        # Genomes are bytes where choices fit, which makes gathering parents several times cheaper.
        self._dtype = np.dtype(np.uint8 if int(space.cardinalities.max()) <= 256 else np.int64)
        self._count = np.array([len(choices) for choices in space.allowed])
        self._free = np.flatnonzero(self._count > 1)
        self._choice_at = np.zeros((space.d, int(self._count.max())), dtype=np.int64)
        self._position_of = np.zeros((space.d, int(space.cardinalities.max())), dtype=np.int64)
        for column, choices in enumerate(space.allowed):
            self._choice_at[column, : len(choices)] = choices
            self._position_of[column, list(choices)] = np.arange(len(choices))

    def graded(self, rng: np.random.Generator, n: int, spread: float = 0.25) -> Population:
        """``n`` members around levels that run evenly from the smallest network to the largest.

        Sums of independently drawn axes crowd in the middle of every cost; here a row draws a level first
        and then each axis around it (choices are ordered by size).
        """
        level = (np.arange(n) + rng.random(n)) / max(n, 1)
        position = np.clip(level[:, None] + rng.normal(0.0, spread, (n, self._space.d)), 0.0, 1.0)
        picked = np.minimum((position * self._count).astype(np.int64), self._count - 1)
        return self._space.canonical(self._choice_at[np.arange(self._space.d), picked])

    def filled(self, rng: np.random.Generator, population: Population) -> NDArray[np.integer[Any]]:
        """The rows with a random allowed choice in every inactive gene: a genome, not canonical."""
        positions = (rng.random(population.shape) * self._count).astype(np.int64)
        drawn = self._choice_at[np.arange(self._space.d), positions]
        return np.where(self._space.active(population), population, drawn).astype(self._dtype)

    def children(
        self,
        rng: np.random.Generator,
        genomes: NDArray[np.integer[Any]],
        left: NDArray[np.int64],
        right: NDArray[np.int64],
    ) -> Population:
        """One member ``(n, d)`` for each pair of rows ``left (n,)``, ``right (n,)`` of filled ``genomes``.

        Every other child, by chance, has one gene set to another choice besides.
        """
        n = len(left)
        take_left = rng.integers(0, 256, (n, self._space.d), dtype=np.uint8) < 128
        child = np.where(take_left, genomes[left], genomes[right])
        if len(self._free):
            rows = np.flatnonzero(rng.random(n) < MUTATED)
            self._mutate(rng, child, rows, self._free[rng.integers(0, len(self._free), len(rows))])
        return self._space.canonical(child.astype(np.int64))

    def _mutate(
        self,
        rng: np.random.Generator,
        child: NDArray[np.integer[Any]],
        rows: NDArray[np.int64],
        column: NDArray[np.int64],
    ) -> None:
        """Set one gene of each row to a different allowed choice, in place."""
        count = self._count[column]
        position = self._position_of[column, child[rows, column]]
        step = 1 + (rng.random(len(rows)) * (count - 1)).astype(np.int64)
        child[rows, column] = self._choice_at[column, (position + step) % count]
