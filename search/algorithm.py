"""The interface of search algorithms."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from search.errors import AlgorithmError
from search.seen import Seen
from supernets.spaces.space import Population, Space

Scores = NDArray[np.float64]


class SavedState(TypedDict):
    """The state of every algorithm, as JSON."""

    algorithm: str
    space: str
    rng: dict[str, object]
    seen: str


class ScoredState(SavedState):
    """The state of an algorithm that keeps scored archs: rows ``(n, d)``, ``(n, m)`` and ``(n,)``."""

    archs: list[list[int]]
    scores: list[list[float]]
    violations: list[float]


class Algorithm(ABC):
    """A search algorithm with ask and tell.

    **Ask** returns at most ``n`` canonical members of the space, none of which was asked or told before. It
    returns fewer if there are not enough, and none when the algorithm has finished. All loops are bounded.

    **Tell** passes scores ``(n, m)``, which are minimised, and violations ``(n,) >= 0``, where 0 is feasible.
    Archs that were never asked may be told (warm start). Each arch is told once. Rows that are not finite are
    ignored.

    **Repeatability.** The same seed, asks and tells give the same results. ``state()`` is plain JSON. Another
    instance with the same space, objectives and settings that restores it continues identically.
    """

    name: ClassVar[str]
    min_objectives: ClassVar[int] = 1
    max_objectives: ClassVar[int | None] = None
    constrained: ClassVar[bool] = True
    costly: ClassVar[bool] = False
    """Whether it is intended for real evaluations only, and too slow for thousands of predictions."""

    def __init__(self, space: Space, n_objectives: int, seed: int) -> None:
        self.space, self.n_objectives = space, n_objectives
        self.rng = np.random.default_rng(seed)
        self.seen = Seen(space)
        self._pending: Population | None = None

    def ask(self, n: int) -> Population:
        """Up to ``n`` new members ``(k, d)``; ``k = 0`` if the algorithm has finished."""
        self._pending = self._ask(n)
        return self._pending

    @abstractmethod
    def _ask(self, n: int) -> Population:
        """Implements :meth:`ask`; adds every returned row to ``seen``."""

    def tell(self, archs: Population, scores: Scores, violations: NDArray[np.float64]) -> None:
        """Pass the results of ``archs (n, d)`` to the algorithm."""
        archs = np.asarray(archs, dtype=np.int64)
        scores, violations = np.asarray(scores, dtype=np.float64), np.asarray(violations, dtype=np.float64)
        if scores.shape != (len(archs), self.n_objectives) or violations.shape != (len(archs),):
            raise AlgorithmError(
                f"tell needs scores ({len(archs)}, {self.n_objectives}) and violations ({len(archs)},), "
                f"got {scores.shape} and {violations.shape}"
            )
        if archs is not self._pending:
            self.seen.add(archs)
        usable = np.isfinite(scores).all(axis=1) & np.isfinite(violations)
        if not self.constrained and (violations[usable] > 0).any():
            raise AlgorithmError(_unconstrained(self.name))
        self._learn(archs[usable], scores[usable], violations[usable])

    @abstractmethod
    def _learn(self, archs: Population, scores: Scores, violations: NDArray[np.float64]) -> None:
        """Implements :meth:`tell` for rows that are finite."""

    def state(self) -> dict[str, object]:
        """The state for :meth:`restore`, as JSON."""
        return {
            "algorithm": self.name,
            "space": self.space.sha256,
            "rng": self.rng.bit_generator.state,
            "seen": self.seen.state(),
        }

    def restore(self, state: Mapping[str, object]) -> None:
        """Restore a :meth:`state`; the state of another algorithm or space is an error."""
        for field, mine in (("algorithm", self.name), ("space", self.space.sha256)):
            if state.get(field) != mine:
                raise AlgorithmError(
                    f"a state is only good for its own {field}: expected {mine!r}, got {state.get(field)!r}"
                )
        saved = cast(SavedState, state)
        self.rng.bit_generator.state = saved["rng"]
        self.seen.restore(saved["seen"])


def _unconstrained(name: str) -> str:
    able = [other for other, kind in _kinds().items() if kind.constrained]
    return f"{name!r} cannot keep limits; algorithms that can: {', '.join(able)}"


def _takes(kind: type[Algorithm], n_objectives: int) -> bool:
    most = kind.max_objectives
    return kind.min_objectives <= n_objectives and (most is None or n_objectives <= most)


def _kinds() -> dict[str, type[Algorithm]]:
    from search import ALGORITHMS

    return {name: ALGORITHMS.load(name) for name in ALGORITHMS}


def make_algorithm(
    name: str, space: Space, n_objectives: int, seed: int, *, constrained: bool = False, **settings: object
) -> Algorithm:
    """The registered algorithm ``name``; an error if it does not support this number of objectives or constraints."""
    from search import ALGORITHMS

    kind: type[Algorithm] = ALGORITHMS.load(name)
    if not _takes(kind, n_objectives):
        able = [other for other, each in _kinds().items() if _takes(each, n_objectives)]
        most = f" and at most {kind.max_objectives}" if kind.max_objectives is not None else ""
        raise AlgorithmError(
            f"{name!r} takes at least {kind.min_objectives}{most} objectives, got {n_objectives}; "
            f"algorithms that can: {', '.join(able)}"
        )
    if constrained and not kind.constrained:
        raise AlgorithmError(_unconstrained(name))
    return kind(space, n_objectives, seed, **settings)
