"""The expected improvement of a front from evaluating archs that have only predictions.

The hypervolume is an integral over limits on all scores but the first. Under each limit, the gain of an arch
is its expected improvement of the first score, times the probability that it meets the limit. The sum over
slices ``(s, m - 1)`` approximates the expected hypervolume improvement if the limits are spread evenly, and
the expected regret if they are distributed like the archs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from search.fronts.front import non_dominated

Values = NDArray[np.float64]
Scores = NDArray[np.float64]

TINY = 1e-12
SHORT, SHORT_EACH = 1500, 30


def chance_of(excess: Values, unsure: Values) -> Values:
    """Probability ``(n,)`` of meeting all limits of a problem, from the predicted excess and its deviation."""
    return np.where(unsure > TINY, ndtr(-excess / np.maximum(unsure, TINY)), excess <= TINY)


def even_limits(mean: Scores, known: Scores, n: int, spots: Scores) -> Scores:
    """``n`` limits ``(n, m - 1)`` for one or two scores: half at the archs, half evenly spaced along the front."""
    if mean.shape[1] == 1:
        return np.zeros((1, 0))
    front = np.concatenate([mean, known])
    front = front[non_dominated(front), 1]
    even = np.linspace(front.min(), front.max(), n // 2)
    return np.concatenate([np.quantile(spots[:, 1], np.linspace(0.02, 0.98, n - n // 2)), even])[:, None]


def gains(
    mean: Scores, std: Scores, chance: Values, known: Scores, limits: Scores
) -> tuple[Scores, Scores, Values]:
    """Expected improvement ``(c, s)`` of the first score under each slice, the probability ``(c, s)`` of
    meeting it, and the best known score there ``(s,)``."""
    spread = np.maximum(std, TINY)
    under = np.repeat(chance[:, None], len(limits), axis=1)
    for column in range(1, mean.shape[1]):
        under *= ndtr((limits[None, :, column - 1] - mean[:, column, None]) / spread[:, column, None])
    fits = (known[:, None, 1:] <= limits[None]).all(axis=2)
    worst = max(float(known[:, 0].max()), float(np.quantile(mean[:, 0], 0.9)))
    best = np.where(fits, known[:, 0, None], worst).min(axis=0)
    return under * improvement(mean[:, 0], spread[:, 0], best), under, best


def improvement(mean: Values, std: Values, best: Values) -> Scores:
    """Expected improvement ``(c, s)`` of predictions ``(c,)`` below each of ``best (s,)``."""
    z = (best[None, :] - mean[:, None]) / std[:, None]
    return np.asarray(std[:, None] * (z * ndtr(z) + np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)))


def shortlist(mean: Scores, std: Scores, chance: Values, known: Scores, limits: Scores) -> NDArray[np.int64]:
    """Rows to score again soon: those with the largest gains over all slices and in each slice."""
    gain = gains(mean, std, chance, known, limits)[0]
    kept = np.zeros(len(mean), dtype=bool)
    kept[np.argsort(-gain.sum(axis=1), kind="stable")[:SHORT]] = True
    each = min(SHORT_EACH, len(mean))
    kept[np.argpartition(-gain, each - 1, axis=0)[:each].ravel()] = True
    return np.flatnonzero(kept)


def best_batch(mean: Scores, std: Scores, chance: Values, known: Scores, limits: Scores, n: int) -> list[int]:
    """Rows of the batch with the largest expected gain, selected greedily.

    ``mean``, ``std (c, m)`` are predictions for candidates, ``chance (c,)`` is the probability of meeting all
    constraints of the problem, ``known (k, m)`` are feasible real scores, ``limits (s, m - 1)`` the slices.
    """
    gain, under, best = gains(mean, std, chance, known, limits)
    # Slices without any gain cost as much as the others, so rows that cannot gain are removed first.
    alive = np.argsort(-gain.sum(axis=1), kind="stable")[: max(20 * n, 500)]
    spread = np.maximum(std[alive, 0], TINY)
    total = gain[alive].sum(axis=1)
    chosen: list[int] = []
    for _ in range(min(n, len(mean))):
        total[np.isin(alive, chosen)] = -1.0
        row = int(alive[total.argmax()])
        chosen.append(row)
        believed = np.where(under[row] > 0.5, np.minimum(best, mean[row, 0]), best)
        changed = np.flatnonzero(believed < best)
        if len(changed):
            before = improvement(mean[alive, 0], spread, best[changed])
            after = improvement(mean[alive, 0], spread, believed[changed])
            total += (under[np.ix_(alive, changed)] * (after - before)).sum(axis=1)
        best = believed
    return chosen
