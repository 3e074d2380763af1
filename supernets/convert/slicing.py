"""Smaller networks without training: which width each axis takes, by what its channels are worth and cost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from supernets.errors import ConvertError, nearest
from supernets.families.converted.traced_space import TracedFamily
from supernets.spaces.cost import Cost
from supernets.spaces.space import Arch
from supernets.traced.importance import Scores


def closed_form(family: TracedFamily, metric: str) -> Cost:
    """A metric that the family computes.

    Raises:
        ConvertError: the metric has no closed form here.
    """
    if metric not in family.known_costs:
        known = family.known_costs
        raise ConvertError(
            f"metric must be one of {', '.join(known)}, got {metric!r}{nearest(metric, known)}"
        )
    return lambda population: family.costs(population)[metric]


def slices(family: TracedFamily, scores: Scores, cost: Cost, shares: Sequence[float]) -> list[Arch]:
    """The network for each share of the cost of the largest one: at most that, and no larger than for a larger share.

    Starts at the largest network. Each step removes the channels with the least score for what they cost, to the next
    choice of one axis. Scores must be comparable between axes, as ``fisher`` is. Depths stay.

    Raises:
        ConvertError: no network is that small.
    """
    if not all(0 < share <= 1 for share in shares):
        raise ConvertError(f"shares must lie above 0 and at most at 1, got {list(shares)}")
    space = family.space()
    columns = {space.column(name): index for index, name in family.offered.items()}
    lost = {column: _lost(family, index, scores) for column, index in columns.items()}
    row = space.encode([space.max()])[0]
    whole = float(cost(row[None])[0])
    found: dict[float, Arch] = {}
    now = whole
    for share in sorted(set(shares), reverse=True):
        while now > share * whole:
            row, now = _step(row, now, lost, cost, share)
        found[share] = space.decode(row[None])[0]
    return [found[share] for share in shares]


def _lost(family: TracedFamily, index: int, scores: Scores) -> NDArray[np.float64]:
    """Sum of the scores of the units that each choice of an axis removes, ``(choices,)``."""
    ascending = np.sort(scores[index].numpy())
    sums = np.concatenate([[0.0], np.cumsum(ascending)])
    kept = family.settings.kept(family.groups.groups[index]).values()
    return np.array([sums[len(ascending) - units] for units in kept])


def _step(
    row: NDArray[np.int64], now: float, lost: dict[int, NDArray[np.float64]], cost: Cost, share: float
) -> tuple[NDArray[np.int64], float]:
    """The next smaller network: the least score for what it saves, over one or several choices of one axis."""
    options = [(column, choice) for column in lost for choice in range(int(row[column]))]
    if not options:
        raise ConvertError(f"no network has a share of {share} of the cost; the smallest has more")
    population = np.repeat(row[None], len(options), axis=0)
    for place, (column, choice) in enumerate(options):
        population[place, column] = choice
    costs = cost(population)
    worth = np.array([lost[column][choice] - lost[column][row[column]] for column, choice in options])
    saved = np.maximum(now - costs, 1e-12)
    best = int(np.lexsort((-saved, worth / saved))[0])
    return population[best], float(costs[best])
