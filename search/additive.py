"""A first estimate of a front from an additive model, in which every choice has an independent effect.

Costs are nearly sums over layers, and quality nearly so. The optimum of an additive model is therefore a good
starting point, and it can be computed exactly for a space of any size.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from supernets.eigen import eigh
from supernets.spaces.space import Population, Space

RIDGE = 1.0
NOISE = 0.3


def effects(space: Space, archs: Population, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Effect ``(features, m)`` of each choice on each score, in standard deviations, by ridge regression."""
    features = space.features(archs).astype(np.float64)
    features -= features.mean(axis=0)
    spread = scores.std(axis=0)
    standardised = (scores - scores.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    gram = features.T @ features
    gram[np.diag_indices_from(gram)] += RIDGE
    return np.asarray(np.linalg.solve(gram, features.T @ standardised))


def best_of_sums(space: Space, sums: NDArray[np.float64]) -> Population:
    """For each row of ``sums (n, features)`` the member with the smallest total over its active choices.

    Exact, by dynamic programming from child axes to parent axes: a choice costs its own term plus the optimum
    of every axis that it activates.
    """
    offset = np.concatenate([[0], np.cumsum(space.cardinalities)]).tolist()
    terms = np.array(sums.T, order="C")  # contiguous rows per choice; totals are accumulated in place
    genes = np.zeros((space.d, len(sums)), dtype=np.int64)
    for column in range(space.d - 1, -1, -1):
        axis, allowed = space.axes[column], np.array(space.allowed[column])
        totals = terms[offset[column] + allowed]
        genes[column] = allowed[totals.argmin(axis=0)]
        if axis.parent is not None:
            parent, least = space.column(axis.parent), totals.min(axis=0)
            for choice, value in enumerate(space.axes[parent].choices):
                if value in axis.active_when:
                    terms[offset[parent] + choice] += least
    return space.canonical(np.ascontiguousarray(genes.T))


def guess(
    space: Space, rng: np.random.Generator, archs: Population, scores: NDArray[np.float64], n: int
) -> Population:
    """``n`` members near the front of the additive model fitted to ``scores (k, m)``; rows may repeat.

    Each row minimises one weighting of the scores (evenly spaced for two scores, random for more). A little
    noise on the effects makes the rows differ.
    """
    effect = effects(space, archs, scores)
    m = scores.shape[1]
    if m == 2:
        level = (np.arange(n) + rng.random(n)) / n
        weights = np.stack([level, 1.0 - level], axis=1)
    else:
        weights = rng.dirichlet(np.ones(m), n)
    sums = weights @ effect.T
    sums += (rng.random(sums.shape, dtype=np.float32) - 0.5) * (NOISE * np.sqrt(12) * np.abs(effect).mean())
    return best_of_sums(space, sums)


class AdditiveModel:
    """Bayesian linear regression on the one-hot encoding: the surrogate if none is passed.

    The width of the normal prior on the weights and the noise maximise the evidence (MacKay 1992), in at most
    30 fixed-point steps.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self._centre = np.zeros(0)
        self._weights = np.zeros(0)
        self._covariance = np.zeros((0, 0))
        self._mean, self._unit, self._noise = 0.0, 1.0, 1.0

    def fit(self, archs: Population, y: NDArray[np.float64]) -> None:
        """Fit to archs ``(n, d)`` and values ``(n,)``."""
        features = self._space.features(archs).astype(np.float64)
        self._centre = features.mean(axis=0)
        self._mean, self._unit = float(y.mean()), float(y.std()) or 1.0
        x, t = features - self._centre, (y - self._mean) / self._unit
        values, vectors = eigh(x.T @ x)
        values = np.maximum(values, 0.0)
        projected = vectors.T @ (x.T @ t)
        prior, noise = 1.0, 0.1
        for _ in range(30):
            weights = projected / (values + noise * prior)
            used = float((values / (values + noise * prior)).sum())
            prior = used / max(float(weights @ weights), 1e-9)
            residual = t - x @ (vectors @ weights)
            noise = max(float(residual @ residual) / max(len(t) - used, 1.0), 1e-6)
        self._weights = vectors @ (projected / (values + noise * prior))
        self._covariance = (vectors * (noise / (values + noise * prior))) @ vectors.T
        self._noise = noise

    def predict(self, archs: Population) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean ``(n,)`` and standard deviation ``(n,)``."""
        x = self._space.features(archs) - self._centre
        variance = np.einsum("ij,ij->i", x @ self._covariance, x) + self._noise
        return self._mean + self._unit * (x @ self._weights), self._unit * np.sqrt(np.maximum(variance, 0.0))

    def quantile(self, archs: Population, p: float) -> NDArray[np.float64]:
        """Quantile of the normal distribution that :meth:`predict` describes."""
        mean, std = self.predict(archs)
        return mean + std * NormalDist().inv_cdf(p)
