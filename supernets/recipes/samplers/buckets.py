"""Cost buckets: how often archs of a cost occur, and how to draw one of a given cost (AttentiveNAS, §3).

Written from the formulas of Wang et al., 2021 (arXiv:2011.09118).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from supernets.families.family import Family
from supernets.metrics import MACS
from supernets.spaces.space import Arch, Population, Space

SAMPLES = 4_000
TRIES = 100


class Buckets:
    """``count`` buckets of equal width over the MACs of a space, filled by uniform sampling.

    ``frequency (count,)`` sums to 1; drawing from a bucket uses the marginal of every axis among the
    samples that fell into it and takes the first of :data:`TRIES` draws that lands in it, or else the last.
    A bucket no sample fell into is never drawn.
    """

    def __init__(self, family: Family, space: Space, count: int, seed: int) -> None:
        self._family, self.space = family, space
        rng = np.random.default_rng([seed, 11])
        ends = space.encode([space.min(), space.max()])
        samples = np.concatenate([space.sample(rng, SAMPLES), ends])
        macs = family.costs(samples)[MACS]
        self._edges = np.linspace(macs.min(), macs.max(), count + 1)
        bucket = self.bucket(macs)
        self.frequency = np.bincount(bucket[:-2], minlength=count) / SAMPLES
        self._marginals = [self._marginal(samples[bucket == b]) for b in range(count)]

    @property
    def count(self) -> int:
        """Number of buckets."""
        return len(self.frequency)

    @property
    def centres(self) -> NDArray[np.float64]:
        """MACs in the middle of each bucket, ``(count,)``."""
        return np.asarray((self._edges[1:] + self._edges[:-1]) / 2)

    def bucket(self, macs: NDArray[np.float64]) -> NDArray[np.int64]:
        """Which bucket each cost falls into, ``(n,)``."""
        return np.clip(np.searchsorted(self._edges, macs, side="right") - 1, 0, len(self._edges) - 2)

    def of(self, archs: list[Arch]) -> NDArray[np.int64]:
        """Which bucket each arch falls into, ``(n,)``."""
        return self.bucket(self._family.costs(self.space.encode(archs))[MACS])

    def _marginal(self, rows: Population) -> NDArray[np.float64]:
        """Cumulative probability of each choice of each axis ``(d, choices)`` among ``rows``."""
        space = self.space
        table = np.zeros((space.d, int(space.cardinalities.max())))
        active = space.active(rows) if len(rows) else np.zeros(rows.shape, dtype=bool)
        for column in range(space.d):
            counts = np.bincount(rows[active[:, column], column], minlength=table.shape[1])
            if counts.sum() == 0:
                counts[list(space.allowed[column])] = 1
            table[column] = np.cumsum(counts / counts.sum())
        return table

    def draw(self, rng: np.random.Generator, bucket: int) -> Arch:
        """An arch of this bucket, as far as :data:`TRIES` draws can give one."""
        u = rng.random((TRIES, self.space.d, 1))
        genes = np.asarray((u >= self._marginals[bucket][None]).sum(axis=2), dtype=np.int64)
        # A sum of shares may end a hair below 1: repair brings such a gene back to an allowed choice.
        rows = self.space.repair(genes)
        hits = np.flatnonzero(self.bucket(self._family.costs(rows)[MACS]) == bucket)
        return self.space.decode(rows[hits[:1]] if len(hits) else rows[-1:])[0]


class BucketTables:
    """The buckets of every region a training opens; a function of region and seed alone."""

    def __init__(self, family: Family, count: int, seed: int) -> None:
        self._family, self._count, self._seed = family, count, seed
        self._made: dict[str, Buckets] = {}

    def of(self, space: Space) -> Buckets:
        """The buckets of ``space``, made once."""
        if space.sha256 not in self._made:
            self._made[space.sha256] = Buckets(self._family, space, self._count, self._seed)
        return self._made[space.sha256]
