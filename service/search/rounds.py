"""How a search divides its budget into rounds."""

from __future__ import annotations

import math

ROUND = 8
MOST_ROUNDS = 8
PROBE = 4  # evaluations that tell how long one takes, where time is bounded too


def round_sizes(budget: int, *, timed: bool = False) -> list[int]:
    """How many evaluations each round gets; where time is bounded, a small first one tells how long they take."""
    if timed and budget > 2 * PROBE:
        return [PROBE, *round_sizes(budget - PROBE)]
    rounds = min(MOST_ROUNDS, math.ceil(budget / ROUND))
    return [budget // rounds + (index < budget % rounds) for index in range(rounds)]


def affordable(size: int, seconds: float | None, spent_s: float, evaluations: int) -> int:
    """How many of ``size`` evaluations the time left allows, going by those so far."""
    if seconds is None:
        return size
    if spent_s >= seconds:
        return 0
    return min(size, int((seconds - spent_s) * evaluations / spent_s)) if evaluations else size
