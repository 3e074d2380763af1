"""A rough latency from closed-form costs alone, for networks of a space of which nothing was measured.

``latency = a + b . costs`` with coefficients that are not negative, fitted to measured networks of any spaces on one
target, each with the same relative weight. It is for a first look: within a space, a predictor is far better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

Values = NDArray[np.float64]


def rough_model(costs: Values, latency: Values) -> Callable[[Values], Values]:
    """A function from costs ``(m, k)`` to latency ``(m,)``, ms.

    Args:
        costs: of the measured networks, ``(n, k)``, none negative.
        latency: of these, ``(n,)``, ms, above 0.
    """
    scale = np.maximum(costs.mean(axis=0), 1e-12)
    terms = np.column_stack([np.ones(len(costs)), costs / scale])
    weights, _ = nnls(terms / latency[:, None], np.ones(len(latency)))
    return lambda other: np.column_stack([np.ones(len(other)), other / scale]) @ weights


def held_out_error(costs: Values, latency: Values, owners: Sequence[str]) -> float | None:
    """Median relative error over networks of spaces that were left out; None where there is one space.

    Args:
        costs: ``(n, k)``.
        latency: ``(n,)``, ms.
        owners: the space of each.
    """
    spaces = sorted(set(owners))
    if len(spaces) < 2:
        return None
    errors = []
    for space in spaces:
        out = np.array([owner == space for owner in owners])
        model = rough_model(costs[~out], latency[~out])
        errors += (np.abs(model(costs[out]) - latency[out]) / latency[out]).tolist()
    return float(np.median(errors))
