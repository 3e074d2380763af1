"""Search with surrogates in the loop, for when every evaluation is dear.

The idea of LINAS (Cummings et al. 2022, arXiv:2202.12954): predictors fitted to all evaluations so far
propose what to evaluate next. Here they say how sure they are, and the proposal is the batch with the
largest expected gain of the front rather than the predicted front itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from search.additive import AdditiveModel
from search.algorithm import Algorithm, Scores
from search.algorithms.nsga2 import NSGA2
from search.errors import AlgorithmError
from search.front import non_dominated
from search.problem import Surrogate
from search.seen import fresh, start_set
from supernets.spaces.space import Population, Space

Values = NDArray[np.float64]

ENUMERATED = 20_000  # spaces up to here are scanned whole
GENERATIONS, BROOD = 12, 200
SLICES = 64
TINY = 1e-12

_Predict = Callable[[Population], tuple[Values, Values]]


class SurrogateSearch(Algorithm):
    """A diverse start, then batches of largest expected gain; models are fitted anew before each batch.

    The gain is that of the hypervolume, integrated over slices: limits on all scores but the first are
    drawn where archs are, and under each the first score's expected improvement counts with the
    probability that the arch stays under it. Within a batch a chosen arch is believed to score what was
    predicted, so the next one is sought elsewhere.
    """

    name = "surrogate"
    costly = True

    def __init__(
        self,
        space: Space,
        n_objectives: int,
        seed: int,
        *,
        models: Sequence[Callable[[], Surrogate]] | None = None,
        known: Mapping[int, Callable[[Population], Values]] | None = None,
        violation: Callable[[Population], Values] | None = None,
        start: int = 30,
    ) -> None:
        """``models`` makes one surrogate a score column (minimised); Bayesian additive ones by default.

        ``known`` gives the columns that cost nothing, exactly; ``violation`` does so for the limits, which
        are learnt from what is told otherwise. ``start`` archs are asked before the first fit.
        """
        super().__init__(space, n_objectives, seed)
        if models is not None and len(models) != n_objectives:
            raise AlgorithmError(f"one model a score is needed, got {len(models)} for {n_objectives}")
        if start < 2:
            raise AlgorithmError(f"start must be at least 2, got {start}")
        self._models = models or [lambda: AdditiveModel(space)] * n_objectives
        self._known, self._violation, self.start = dict(known or {}), violation, start
        self.archs: Population = np.zeros((0, space.d), dtype=np.int64)
        self.scores: Scores = np.zeros((0, n_objectives))
        self.violations = np.zeros(0)
        self._members = space.enumerate() if space.size() <= ENUMERATED else None

    # --- ask and tell ------------------------------------------------------------------------------

    def _ask(self, n: int) -> Population:
        early = min(n, max(self.start - len(self.archs), 0))
        parts = [self._diverse(early)] if early else [self.archs[:0]]
        if n > early and len(self.archs) >= self.start:
            parts.append(self._promising(n))
        parts.append(fresh(self.space, self.rng, self.seen, n - sum(map(len, parts))))
        return np.concatenate(parts)

    def _learn(self, archs: Population, scores: Scores, violations: Values) -> None:
        self.archs = np.concatenate([self.archs, archs])
        self.scores = np.concatenate([self.scores, scores])
        self.violations = np.concatenate([self.violations, violations])

    def state(self) -> dict[str, Any]:
        """All that was told beside the generator and what was seen; models follow from it."""
        return {
            **super().state(),
            "archs": self.archs.tolist(),
            "scores": self.scores.tolist(),
            "violations": self.violations.tolist(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Become what :meth:`state` described."""
        super().restore(state)
        self.archs = np.array(state["archs"], dtype=np.int64).reshape(-1, self.space.d)
        self.scores = np.array(state["scores"], dtype=np.float64).reshape(-1, self.n_objectives)
        self.violations = np.array(state["violations"], dtype=np.float64)

    # --- start -------------------------------------------------------------------------------------

    def _diverse(self, n: int) -> Population:
        """New members, each as far as possible from all before it: the share of choices that differ."""
        pool = start_set(self.space, self.rng, 20 * n + 100)
        pool = pool[self.seen.new(pool)]
        features = self.space.features(pool)
        distance = np.full(len(pool), np.inf)
        for row in self.space.features(self.archs):
            distance = np.minimum(distance, np.abs(features - row).sum(axis=1))
        chosen: list[int] = []
        for _ in range(min(n, len(pool))):
            chosen.append(int(distance.argmax()))
            distance = np.minimum(distance, np.abs(features - features[chosen[-1]]).sum(axis=1))
            distance[chosen] = -1.0
        return self.seen.take(pool[chosen], n)

    # --- batches -----------------------------------------------------------------------------------

    def _promising(self, n: int) -> Population:
        """The batch of largest expected gain among candidates."""
        predict, violation = self._fitted()
        pool = self._candidates(predict, violation)
        if len(pool) == 0:
            return pool
        mean, std = predict(pool)
        excess, unsure = violation(pool)
        feasible = self.violations <= 0
        if not feasible.any():
            order = np.argsort(excess - unsure, kind="stable")
            return self.seen.take(pool[order], n)
        chance = np.where(unsure > TINY, ndtr(-excess / np.maximum(unsure, TINY)), excess <= TINY)
        chosen = best_batch(mean, std, chance, self.scores[feasible], self._slices(mean), n)
        return self.seen.take(pool[chosen], n)

    def _fitted(self) -> tuple[_Predict, _Predict]:
        """Predictions of all scores, ``(n, m)`` mean and std, and of the violation, ``(n,)`` each."""
        fitted: dict[int, Surrogate] = {}
        for column, make in enumerate(self._models):
            if column not in self._known:
                fitted[column] = make()
                fitted[column].fit(self.archs, self.scores[:, column])
        limits: Surrogate | None = None
        if self._violation is None and (self.violations > 0).any():
            limits = AdditiveModel(self.space)
            limits.fit(self.archs, self.violations)

        def predict(archs: Population) -> tuple[Values, Values]:
            mean, std = np.zeros((len(archs), self.n_objectives)), np.zeros((len(archs), self.n_objectives))
            for column in range(self.n_objectives):
                if column in fitted:
                    mean[:, column], std[:, column] = fitted[column].predict(archs)
                else:
                    mean[:, column] = self._known[column](archs)
            usable = np.isfinite(mean).all(axis=1) & np.isfinite(std).all(axis=1)
            mean[~usable], std[~usable] = np.abs(self.scores).max() * 1e3 + 1e3, 0.0
            return mean, std

        def violation(archs: Population) -> tuple[Values, Values]:
            if limits is not None:
                return limits.predict(archs)
            exact = np.zeros(len(archs)) if self._violation is None else self._violation(archs)
            return exact, np.zeros(len(archs))

        return predict, violation

    def _candidates(self, predict: _Predict, violation: _Predict) -> Population:
        """All unseen members of a small space; else what a quick search on the models comes to."""
        if self._members is not None:
            return self._members[self.seen.new(self._members)]
        found = [self.space.sample(self.rng, BROOD)]
        for optimism in (0.0, 1.0):
            inner = NSGA2(self.space, self.n_objectives, int(self.rng.integers(2**31)))
            for step in range(GENERATIONS):
                archs = self.archs if step == 0 else inner.ask(BROOD)
                mean, std = predict(archs)
                inner.tell(archs, mean - optimism * std, np.maximum(violation(archs)[0], 0.0))
            found.append(inner.archs)
        pool = np.concatenate(found)
        return pool[self.seen.new(pool)]

    def _slices(self, mean: Scores) -> Scores:
        """Limits ``(k, m - 1)`` on the scores but the first: where archs are, and along the front."""
        others = mean[:, 1:]
        if self.n_objectives == 1:
            return np.zeros((1, 0))
        if self.n_objectives == 2:
            front = np.concatenate([mean, self.scores])
            front = front[non_dominated(front), 1]
            # Candidates of a large space crowd at the front; what was told is a fairer sample of archs.
            spots = others[:, 0] if self._members is not None else self.scores[:, 1]
            even = np.linspace(front.min(), front.max(), SLICES // 2)
            return np.concatenate([np.quantile(spots, np.linspace(0.02, 0.98, SLICES // 2)), even])[:, None]
        return others[self.rng.integers(len(others), size=SLICES)]


def best_batch(mean: Scores, std: Scores, chance: Values, known: Scores, limits: Scores, n: int) -> list[int]:
    """Rows of the greedy batch of largest expected gain.

    ``mean``, ``std (c, m)`` predict candidates, ``chance (c,)`` is the probability of meeting all limits of
    the problem, ``known (k, m)`` are feasible true scores, ``limits (s, m - 1)`` the slices.
    """
    spread = np.maximum(std, TINY)
    under = np.repeat(chance[:, None], len(limits), axis=1)
    for column in range(1, mean.shape[1]):
        under *= ndtr((limits[None, :, column - 1] - mean[:, column, None]) / spread[:, column, None])
    fits = (known[:, None, 1:] <= limits[None]).all(axis=2)
    worst = max(float(known[:, 0].max()), float(np.quantile(mean[:, 0], 0.9)))
    best = np.where(fits, known[:, 0, None], worst).min(axis=0)
    # Slices far from any gain cost as much as others: rows that cannot gain are left out once.
    chosen: list[int] = []
    gain = _gain(mean[:, 0], spread[:, 0], under, best)
    alive = np.argsort(-gain, kind="stable")[: max(20 * n, 500)]
    for _ in range(min(n, len(mean))):
        gain = _gain(mean[alive, 0], spread[alive, 0], under[alive], best)
        gain[np.isin(alive, chosen)] = -1.0
        row = int(alive[gain.argmax()])
        chosen.append(row)
        best = np.where(under[row] > 0.5, np.minimum(best, mean[row, 0]), best)
    return chosen


def _gain(mean: Values, std: Values, under: Scores, best: Values) -> Values:
    """Expected improvement of the first score ``(c,)``, summed over slices."""
    z = (best[None, :] - mean[:, None]) / std[:, None]
    improvement = std[:, None] * (z * ndtr(z) + np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi))
    return np.asarray((under * improvement).sum(axis=1))
