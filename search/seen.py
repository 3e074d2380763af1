"""Which archs a search has met: exact, and one set lookup an arch."""

from __future__ import annotations

import base64

import numpy as np
from numpy.typing import NDArray

from search.variation import Variation
from supernets.spaces.space import Population, Space


class Seen:
    """A set of canonical archs. Rows are stored as bytes, so two archs are one only when they are equal."""

    def __init__(self, space: Space) -> None:
        widest = int(space.cardinalities.max())
        self._dtype = np.dtype(np.uint8 if widest <= 256 else np.uint32)
        self._width = space.d * self._dtype.itemsize
        self._rows: dict[bytes, None] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def _keys(self, population: Population) -> list[bytes]:
        data = np.asarray(population).astype(self._dtype).tobytes()
        return [data[at : at + self._width] for at in range(0, len(data), self._width)]

    def new(self, population: Population) -> NDArray[np.bool_]:
        """Which rows ``(n,)`` are neither in the set nor copies of an earlier row."""
        rows = self._rows
        here: set[bytes] = set()
        mask = np.zeros(len(population), dtype=np.bool_)
        for index, key in enumerate(self._keys(population)):
            if key not in rows and key not in here:
                here.add(key)
                mask[index] = True
        return mask

    def take(self, population: Population, limit: int) -> Population:
        """The first ``limit`` new rows, put into the set."""
        rows = self._rows
        new: list[int] = []
        for index, key in enumerate(self._keys(population)):
            if len(new) == limit:
                break
            if key not in rows:
                rows[key] = None
                new.append(index)
        return population[new] if new else population[:0]

    def add(self, population: Population) -> None:
        """Put all rows in."""
        self._rows.update(dict.fromkeys(self._keys(population)))

    def state(self) -> str:
        """The set as base64 text, in the order in which archs came."""
        return base64.b64encode(b"".join(self._rows)).decode()

    def restore(self, state: str) -> None:
        """Become the set that :meth:`state` wrote."""
        data = base64.b64decode(state)
        self._rows = dict.fromkeys(data[at : at + self._width] for at in range(0, len(data), self._width))


def fresh(space: Space, rng: np.random.Generator, seen: Seen, n: int, rounds: int = 4) -> Population:
    """Up to ``n`` random members that are not in ``seen``, and puts them in.

    Bounded: after ``rounds`` of sampling what is missing is taken from the enumerated space where that is
    small enough to enumerate. Fewer than ``n`` come back when (nearly) everything has been seen.
    """
    parts = [np.zeros((0, space.d), dtype=np.int64)]
    missing = n
    for _ in range(rounds):
        if missing <= 0:
            break
        parts.append(seen.take(space.sample(rng, missing), missing))
        missing -= len(parts[-1])
    if missing > 0 and space.size() <= ENUMERABLE:
        left = space.enumerate()
        left = left[seen.new(left)]
        parts.append(seen.take(left[rng.permutation(len(left))], missing))
    return np.concatenate(parts)


ENUMERABLE = 50_000


def start_set(space: Space, rng: np.random.Generator, n: int) -> Population:
    """``n`` rows to begin with, spread over sizes: smallest, largest, then graded and uniform ones by halves.

    Rows may repeat in small spaces.
    """
    ends = space.encode([space.min(), space.max()])
    graded = max((n - 1) // 2, 0)
    rows = Variation(space).graded(rng, graded)
    return np.concatenate([ends, rows, space.sample(rng, max(n - 2 - graded, 0))])[:n]
