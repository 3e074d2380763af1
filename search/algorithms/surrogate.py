"""Search with surrogates in the loop, for expensive evaluations.

The idea of LINAS (Cummings et al. 2022, arXiv:2202.12954): predictors fitted to all evaluations so far
propose the next evaluations. Here the predictors also return deviations, and the proposal is the batch with
the largest expected improvement of the front instead of the predicted front.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from search.additive import AdditiveModel
from search.algorithm import Algorithm, ScoredState, Scores
from search.algorithms.nsga2 import NSGA2
from search.errors import AlgorithmError, SurrogateError
from search.fronts.gain import best_batch, chance_of, even_limits, shortlist
from search.problem import Surrogate
from search.seen import fresh, start_set
from supernets.spaces.space import Population, Space

Values = NDArray[np.float64]
Rows = NDArray[np.int64]

ENUMERATED = 20_000  # spaces up to this size are scanned completely
GENERATIONS, BROOD = 12, 200
SLICES = 64
RENEWED = 1.15  # all members are scanned again after this growth of the number of evaluations
MAX_DROPPED = 0.5
MIN_SCORED = 20

_Predict = Callable[[Population], tuple[Values, Values]]


class Shortlist(TypedDict):
    """The members nearest to the predicted front after ``told`` rows, with the limits of all objectives."""

    told: int
    rows: list[int]
    limits: list[list[float]]


class SurrogateState(ScoredState):
    """All told rows; the models are refitted from them."""

    dropped: int
    short: Shortlist | None


class SurrogateSearch(Algorithm):
    """A diverse start, then batches with the largest expected improvement; models are refitted before each batch.

    The improvement is that of the hypervolume, integrated over slices: limits on all scores but the first are
    drawn at the archs. Under each limit, the expected improvement of the first score is weighted with the
    probability that the arch meets the limit. Within a batch, selected archs are assumed to have their
    predicted scores, so that the next one differs from them.

    Archs without a finite prediction are dropped and counted (``dropped``); more than half
    of the candidates raise :class:`SurrogateError`.
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
        members: Population | None = None,
        start: int = 30,
    ) -> None:
        """``models`` returns one surrogate per score column (minimised); by default Bayesian additive models.

        ``known`` returns the columns that are known exactly without an evaluation. ``violation`` does the same
        for violations, which are otherwise predicted from the told ones. ``members (k, d)`` are the only archs
        that may be asked; by default all of the space. ``start`` archs are asked before the first fit.
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
        self.dropped = 0
        self._only = members is not None
        self._members = self._listed(members)
        self._short: tuple[int, Rows, Scores] | None = None  # number of told rows, members, limits

    def _listed(self, members: Population | None) -> Population | None:
        if members is None:
            return self.space.enumerate() if self.space.size() <= ENUMERATED else None
        members = np.asarray(members, dtype=np.int64)
        if len(members) == 0 or not self.space.member(members).all():
            raise AlgorithmError("members must be archs of the space, at least one")
        return members

    # --- ask and tell ------------------------------------------------------------------------------

    def _ask(self, n: int) -> Population:
        early = min(n, max(self.start - len(self.archs), 0))
        parts = [self._diverse(early)] if early else [self.archs[:0]]
        if n > early and len(self.archs) >= self.start:
            parts.append(self._promising(n))
        parts.append(self._any(n - sum(map(len, parts))))
        return np.concatenate(parts)

    def _any(self, n: int) -> Population:
        """Random new archs, if no better ones are left."""
        if n <= 0 or not self._only or self._members is None:
            return fresh(self.space, self.rng, self.seen, n)
        left = self._members[self.seen.new(self._members)]
        return self.seen.take(left[self.rng.permutation(len(left))], n)

    def _learn(self, archs: Population, scores: Scores, violations: Values) -> None:
        self.archs = np.concatenate([self.archs, archs])
        self.scores = np.concatenate([self.scores, scores])
        self.violations = np.concatenate([self.violations, violations])

    def state(self) -> dict[str, object]:
        """All told rows, the random generator and the seen archs; the models are refitted from them."""
        short = None
        if self._short is not None:
            told, rows, limits = self._short
            short = {"told": told, "rows": rows.tolist(), "limits": limits.tolist()}
        return {
            **super().state(),
            "archs": self.archs.tolist(),
            "scores": self.scores.tolist(),
            "violations": self.violations.tolist(),
            "dropped": self.dropped,
            "short": short,
        }

    def restore(self, state: Mapping[str, object]) -> None:
        """Restore a :meth:`state`."""
        super().restore(state)
        saved = cast(SurrogateState, state)
        self.archs = np.array(saved["archs"], dtype=np.int64).reshape(-1, self.space.d)
        self.scores = np.array(saved["scores"], dtype=np.float64).reshape(-1, self.n_objectives)
        self.violations = np.array(saved["violations"], dtype=np.float64)
        self.dropped = int(saved["dropped"])
        self._short = None
        if saved["short"] is not None:
            short = saved["short"]
            limits = np.array(short["limits"], dtype=np.float64).reshape(-1, self.n_objectives - 1)
            self._short = (int(short["told"]), np.array(short["rows"], dtype=np.int64), limits)

    # --- start -------------------------------------------------------------------------------------

    def _diverse(self, n: int) -> Population:
        """New members, each as far as possible from all earlier ones, by the share of different choices."""
        pool = start_set(self.space, self.rng, 20 * n + 100)
        if self._only and self._members is not None:
            pool = self._members[self.rng.permutation(len(self._members))[: len(pool)]]
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
        """The batch of candidates with the largest expected improvement."""
        predict, violation = self._fitted()
        feasible = self.violations <= 0
        told = len(self.archs)
        again = self._short is None or told >= RENEWED * self._short[0] or not feasible.any()
        if self._members is None:
            pool = self._searched(predict, violation)
        elif again or self._short is None:
            pool = self._members
        else:
            pool = self._members[self._short[1]]
        at = np.flatnonzero(self.seen.new(pool))
        mean, std = predict(pool[at])
        usable = _finite(mean, std)
        self._drop(pool[at], usable)
        at, mean, std = at[usable], mean[usable], std[usable]
        if len(at) == 0:
            return pool[:0]
        excess, unsure = violation(pool[at])
        if not feasible.any():
            order = np.argsort(excess - unsure, kind="stable")
            return self.seen.take(pool[at[order]], n)
        chance = chance_of(excess, unsure)
        known = self.scores[feasible]
        if self._members is None or again or self._short is None:
            limits = self._slices(mean)
        else:
            limits = self._short[2]
        if self._members is not None and again:
            rows = shortlist(mean, std, chance, known, limits)
            self._short = (told, np.asarray(at[rows], dtype=np.int64), limits)
            at, mean, std, chance = at[rows], mean[rows], std[rows], chance[rows]
        return self.seen.take(pool[at[best_batch(mean, std, chance, known, limits, n)]], n)

    def _slices(self, mean: Scores) -> Scores:
        if self.n_objectives > 2:
            return mean[self.rng.integers(len(mean), size=SLICES), 1:]
        # Candidates of a large space are concentrated at the front; told archs are a more representative sample.
        return even_limits(
            mean, self.scores, SLICES, spots=mean if self._members is not None else self.scores
        )

    def _drop(self, archs: Population, usable: NDArray[np.bool_]) -> None:
        """Count and exclude the archs without a usable prediction."""
        bad = archs[~usable]
        self.dropped += int(self.seen.new(bad).sum())
        self.seen.add(bad)
        if len(archs) >= MIN_SCORED and len(bad) > MAX_DROPPED * len(archs):
            raise SurrogateError(
                f"at most {MAX_DROPPED:.0%} of the predictions may be NaN or infinite, "
                f"got {len(bad)} of {len(archs)}; fit the predictors again"
            )

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
            return mean, std

        def violation(archs: Population) -> tuple[Values, Values]:
            if limits is not None:
                return limits.predict(archs)
            exact = np.zeros(len(archs)) if self._violation is None else self._violation(archs)
            return exact, np.zeros(len(archs))

        return predict, violation

    def _searched(self, predict: _Predict, violation: _Predict) -> Population:
        """Candidates of a large space: the result of a short search on the models."""
        found = [self.space.sample(self.rng, BROOD)]
        for optimism in (0.0, 1.0):
            inner = NSGA2(self.space, self.n_objectives, int(self.rng.integers(2**31)))
            for step in range(GENERATIONS):
                archs = self.archs if step == 0 else inner.ask(BROOD)
                mean, std = predict(archs)
                usable = _finite(mean, std)
                self._drop(archs, usable)
                optimistic = (mean - optimism * std)[usable]
                inner.tell(archs[usable], optimistic, np.maximum(violation(archs[usable])[0], 0.0))
            found.append(inner.archs)
        pool = np.concatenate(found)
        return pool[self.seen.new(pool)]


def _finite(mean: Values, std: Values) -> NDArray[np.bool_]:
    """Which rows ``(n,)`` have finite predictions of every score."""
    return np.asarray((np.isfinite(mean) & np.isfinite(std)).all(axis=1))
