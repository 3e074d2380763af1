"""Choosing points of a front."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from search.errors import ProblemError
from search.front import Scores, normalised


def spread(scores: Scores, k: int, first: Iterable[int] = ()) -> list[int]:
    """Up to ``k`` rows of ``scores (n, m)``, spread well: ``first``, the best of each column, then the farthest.

    Each further row is the one whose nearest chosen row is farthest away, columns scaled to ``[0, 1]``.
    """
    if k < 0:
        raise ProblemError(f"k must be 0 or more, got {k}", "k")
    n = len(scores)
    if n == 0 or k == 0:
        return []
    unit = normalised(scores)
    chosen = list(dict.fromkeys([*first, *unit.argmin(axis=0).tolist()]))[:k]
    distance = np.full(n, np.inf)
    for row in chosen:
        distance = np.minimum(distance, np.linalg.norm(unit - unit[row], axis=1))
        distance[row] = -1.0
    for _ in range(min(k, n) - len(chosen)):
        row = int(distance.argmax())
        chosen.append(row)
        distance = np.minimum(distance, np.linalg.norm(unit - unit[row], axis=1))
        distance[row] = -1.0
    return chosen
