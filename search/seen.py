"""Which archs a search has met: exact, and one set lookup an arch."""

from __future__ import annotations

import base64

import numpy as np
from numpy.typing import NDArray

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

    def new(self, population: Population, add: bool = False) -> NDArray[np.bool_]:
        """Which rows ``(n,)`` are neither in the set nor copies of an earlier row; ``add`` puts them in."""
        rows = self._rows if add else dict(self._rows)
        mask = np.zeros(len(population), dtype=bool)
        for index, key in enumerate(self._keys(population)):
            if key not in rows:
                rows[key] = None
                mask[index] = True
        return mask

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
        drawn = space.sample(rng, missing)
        parts.append(drawn[seen.new(drawn, add=True)])
        missing -= len(parts[-1])
    if missing > 0 and space.size() <= ENUMERABLE:
        left = space.enumerate()
        left = left[seen.new(left)]
        parts.append(left[rng.permutation(len(left))[:missing]])
        seen.add(parts[-1])
    return np.concatenate(parts)


ENUMERABLE = 50_000


def start_set(space: Space, rng: np.random.Generator, n: int) -> Population:
    """``n`` rows to begin with, spread over sizes: smallest, largest, then graded and uniform ones in turn.

    Sums of independently drawn axes crowd in the middle of every cost. A graded row draws a level first
    and then each axis around it (choices are ordered from the smallest network to the largest), so that
    both ends of the front are met from the beginning. Rows may repeat in small spaces.
    """
    ends = space.encode([space.min(), space.max()])
    counts = np.array([len(choices) for choices in space.allowed])
    graded = max((n - 2 + 1) // 2, 0)
    level = (np.arange(graded) + rng.random(graded)) / max(graded, 1)
    position = np.clip(level[:, None] + rng.normal(0.0, 0.25, (graded, space.d)), 0.0, 1.0)
    picked = np.minimum((position * counts).astype(np.int64), counts - 1)
    widest = np.zeros((space.d, int(counts.max())), dtype=np.int64)
    for column, choices in enumerate(space.allowed):
        widest[column, : len(choices)] = choices
    rows = space.canonical(widest[np.arange(space.d), picked])
    return np.concatenate([ends, rows, space.sample(rng, max(n - 2 - graded, 0))])[:n]
