"""An exact set of the archs that a search has seen, with one lookup per arch."""

from __future__ import annotations

import base64

import numpy as np
from numpy.typing import NDArray

from search.variation import graded
from supernets.spaces.space import Population, Space

EXACT = 2**53  # integers below it are exact in a float64


class Seen:
    """A set of canonical archs of one space.

    The key of a row is one or more integers with its genes as digits, as many per integer as a float64 holds
    exactly. Only equal archs have equal keys. All rows are converted by one matrix product.
    """

    def __init__(self, space: Space) -> None:
        words: list[dict[int, int]] = [{}]
        value = 1
        for column, choices in enumerate(space.cardinalities.tolist()):
            if value * choices > EXACT:
                words.append({})
                value = 1
            words[-1][column] = value
            value *= choices
        self._weights = np.zeros((space.d, len(words)))
        for word, values in enumerate(words):
            self._weights[list(values), word] = list(values.values())
        self._width = 8 * len(words)
        self._rows: dict[bytes, int] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._rows)

    def _keys(self, population: NDArray[np.integer]) -> list[bytes]:
        words = np.asarray(population, dtype=np.float64) @ self._weights
        keys: list[bytes] = np.ascontiguousarray(words, dtype="<f8").view(f"V{self._width}").ravel().tolist()
        return keys

    def new(self, population: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Which rows ``(n,)`` are neither in the set nor duplicates of an earlier row."""
        keys = self._keys(population)
        first = dict(zip(reversed(keys), range(len(keys) - 1, -1, -1), strict=True))
        mask = np.zeros(len(keys), dtype=np.bool_)
        mask[[index for key, index in first.items() if key not in self._rows]] = True
        return mask

    def take(self, population: NDArray[np.integer], limit: int) -> Population:
        """The first ``limit`` new rows, which are added to the set."""
        keys = self._keys(population)
        # Every row gets a unique number; an existing key returns its earlier number.
        numbers = range(self._next, self._next + len(keys))
        self._next = numbers.stop
        answers = np.fromiter(map(self._rows.setdefault, keys, numbers), np.int64, len(keys))
        new = np.flatnonzero(answers == np.arange(numbers.start, numbers.stop))
        for index in new[max(limit, 0) :].tolist():
            del self._rows[keys[index]]
        return population[new[: max(limit, 0)]].astype(np.int64)

    def add(self, population: Population) -> None:
        """Add all rows."""
        for key in self._keys(population):
            self._rows.setdefault(key, -1)

    def state(self) -> str:
        """The set as base64 text, in insertion order."""
        return base64.b64encode(b"".join(self._rows)).decode()

    def restore(self, state: str) -> None:
        """Restore a :meth:`state`."""
        data = base64.b64decode(state)
        keys = (data[at : at + self._width] for at in range(0, len(data), self._width))
        self._rows = dict.fromkeys(keys, -1)


def fresh(space: Space, rng: np.random.Generator, seen: Seen, n: int, rounds: int = 4) -> Population:
    """Up to ``n`` random members that are not in ``seen``, which are added to it.

    After ``rounds`` of sampling, missing members are taken from the enumeration of the space if it is small
    enough. Fewer than ``n`` are returned if (nearly) all members have been seen.
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
    """``n`` initial rows spread over sizes: smallest, largest, then half graded and half uniform.

    Rows may repeat in small spaces.
    """
    ends = space.encode([space.min(), space.max()])
    half = max((n - 1) // 2, 0)
    return np.concatenate([ends, graded(space, rng, half), space.sample(rng, max(n - 2 - half, 0))])[:n]
