"""Which archs to measure or evaluate first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from predictors.errors import FitError
from supernets.families.family import Family
from supernets.metrics import MACS
from supernets.spaces.space import ENUMERATE_LIMIT, Population, Space

CANDIDATES_PER_PICK = 40
LEAST_CANDIDATES = 1000
# Beyond this many measured archs their number does not show any more where a next one would help.
MOST_STAND_INS = 100


def spread_sample(
    family: Family,
    n: int,
    rng: np.random.Generator,
    *,
    space: Space | None = None,
    features: Callable[[Population], NDArray[np.float64]] | None = None,
) -> Population:
    """``n`` different archs ``(n, d)`` that span the space: the smallest, the largest, then the rest.

    Random candidates fall into ``n - 2`` equal strata of log MACs; from each stratum, in random order,
    the one is taken that lies furthest from everything taken so far (greedy maximin). Distances are
    Euclidean in ``features (n, d) -> (n, k)``, by default the one-hot encoding with log MACs.
    ``space`` may be a restriction of the family's. Any prefix of 2 or more rows spans the space too.

    Raises:
        FitError: fewer than 2 archs asked for, or more than the space has.
    """
    space = space or family.space()
    if not 2 <= n <= space.size():
        raise FitError(f"n must be from 2 to the {space.size()} archs of the space, got {n}")
    pool = _pool(space, n, rng)
    if n > len(pool):
        raise FitError(f"at most {len(pool)} archs can be spread at once, got {n}")
    macs = family.costs(pool)[MACS]
    values = _default_features(space, pool, macs) if features is None else features(pool)
    strata = np.array_split(np.argsort(macs[2:], kind="stable") + 2, max(n - 2, 1))
    chosen = [0, 1][: len(pool)]
    distance = np.minimum(_distances(values, 0), _distances(values, 1))
    distance[chosen] = -1.0
    for index in rng.permutation(n - 2):
        stratum = strata[index]
        pick = int(stratum[np.argmax(distance[stratum])]) if len(stratum) else 0
        if distance[pick] < 0:  # everything in this stratum is taken
            pick = int(np.argmax(distance))
        chosen.append(pick)
        distance = np.where(distance < 0, distance, np.minimum(distance, _distances(values, pick)))
        distance[pick] = -1.0
    return pool[chosen]


class Chooses(Protocol):
    """A predictor that can rank archs by how much a measurement would improve it."""

    @property
    def family(self) -> Family:
        """The family whose space is chosen from."""

    def choose(self, n: int, pool: Population, rng: np.random.Generator) -> NDArray[np.int64]:
        """Rows ``(n,)`` of ``pool``, the most informative first."""


def informative_sample(
    predictor: Chooses, n: int, rng: np.random.Generator, *, measured: Population | None = None
) -> Population:
    """``n`` different archs ``(n, d)`` that improve ``predictor`` most for a target, the most informative first.

    Any first part is what one would measure with fewer. ``measured`` are archs ``(m, d)`` that are known
    already: none of them is chosen, and each stands in for the most similar arch that would have been.

    Raises:
        FitError: more archs asked for than there are.
    """
    space = predictor.family.space()
    measured = space.encode([]) if measured is None else np.unique(measured, axis=0)
    pool = _pool(space, n + len(measured), rng)
    seen = {row.tobytes() for row in measured}
    pool = pool[[row.tobytes() not in seen for row in np.ascontiguousarray(pool)]]
    if not 1 <= n <= len(pool):
        raise FitError(f"n must be from 1 to the {len(pool)} archs to choose from, got {n}")
    stand_ins = min(len(measured), MOST_STAND_INS, len(pool) - n)
    chosen = pool[predictor.choose(n + stand_ins, pool, rng)]
    kept, features = np.ones(len(chosen), dtype=bool), space.features(chosen).astype(np.float64)
    for row in space.features(measured[:stand_ins]).astype(np.float64):
        distance = np.square(features - row).sum(axis=1)
        kept[int(np.argmin(np.where(kept, distance, np.inf)))] = False
    return np.asarray(chosen[kept])


def _pool(space: Space, n: int, rng: np.random.Generator) -> Population:
    """Different archs to choose among, the smallest and the largest first; at least ``n``."""
    ends = space.encode([space.min(), space.max()])
    size = min(max(LEAST_CANDIDATES, CANDIDATES_PER_PICK * n), ENUMERATE_LIMIT)
    drawn = space.enumerate() if space.size() <= size else space.sample(rng, size)
    rows = np.concatenate([ends, drawn])
    _, first = np.unique(rows, axis=0, return_index=True)
    return rows[np.sort(first)]


def _default_features(space: Space, pool: Population, macs: NDArray[np.float64]) -> NDArray[np.float64]:
    """One-hot encoding ``(n, k)`` with log MACs, which count as much as all choices together."""
    encoded = space.features(pool).astype(np.float64)
    size = np.log(np.maximum(macs, 1.0))
    weight = np.sqrt(encoded.var(axis=0).sum()) / max(float(size.std()), 1e-12)
    return np.concatenate([encoded, weight * size[:, None]], axis=1)


def _distances(values: NDArray[np.float64], row: int) -> NDArray[np.float64]:
    return np.asarray(np.square(values - values[row]).sum(axis=1))
