"""Every member of a small space, in shuffled order, so that an interrupted run is a random sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from search.algorithm import Algorithm, SavedState, Scores
from search.errors import AlgorithmError
from search.seen import ENUMERABLE
from supernets.spaces.space import Population, Space


class ExhaustiveState(SavedState):
    """The position in the order, and its seed."""

    next: int
    seed: int


class Exhaustive(Algorithm):
    """All members once; an error for spaces of more than 50,000."""

    name = "exhaustive"

    def __init__(self, space: Space, n_objectives: int, seed: int) -> None:
        super().__init__(space, n_objectives, seed)
        if space.size() > ENUMERABLE:
            raise AlgorithmError(
                f"exhaustive search takes spaces of at most {ENUMERABLE} archs, got {space.size():.3g}; "
                "restrict the space or use another algorithm"
            )
        self._shuffle(seed)

    def _shuffle(self, seed: int) -> None:
        members = self.space.enumerate()
        self._seed, self._next = seed, 0
        self._members = members[np.random.default_rng(seed).permutation(len(members))]

    def _ask(self, n: int) -> Population:
        """The next members that have not been told."""
        parts = [np.zeros((0, self.space.d), dtype=np.int64)]
        missing = n
        while missing > 0 and self._next < len(self._members):
            rows = self._members[self._next : self._next + missing]
            self._next += len(rows)
            parts.append(self.seen.take(rows, missing))
            missing -= len(parts[-1])
        return np.concatenate(parts)

    def _learn(self, archs: Population, scores: Scores, violations: NDArray[np.float64]) -> None:
        """Does nothing: the order is fixed by the seed."""

    def state(self) -> dict[str, object]:
        """The position and the seed of the order."""
        return {**super().state(), "next": self._next, "seed": self._seed}

    def restore(self, state: Mapping[str, object]) -> None:
        """Restore a :meth:`state`."""
        super().restore(state)
        saved = cast(ExhaustiveState, state)
        self._shuffle(int(saved["seed"]))
        self._next = int(saved["next"])
