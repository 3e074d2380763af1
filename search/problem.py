"""The definition of a search: space, objectives, constraints and surrogates."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from search.constraints import Constraint, Key, Values, merged
from search.errors import MissingPredictorError, ProblemError, SurrogateError
from supernets.metrics import Metric, metric_named
from supernets.spaces.space import Population, Space

Costs = Callable[[Population], Mapping[str, Values]]


class Surrogate(Protocol):
    """A model of one metric, passed in by the caller.

    Populations are canonical ``(n, d)`` matrices of the supernet's space; values are in the metric's
    unit and direction. Requirements: ``std >= 0``, ``quantile`` does not decrease with ``p``, predictions
    have no side effects, and the same fit gives the same predictions.
    """

    def fit(self, archs: Population, y: NDArray[np.float64]) -> None:
        """Fit to archs ``(n, d)`` and their real values ``(n,)``, replacing any earlier fit."""

    def predict(self, archs: Population) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean ``(n,)`` and standard deviation ``(n,)``."""

    def quantile(self, archs: Population, p: float) -> NDArray[np.float64]:
        """The ``p``-quantile ``(n,)`` of the predictive distribution, ``0 < p < 1``."""


@dataclass(frozen=True, slots=True)
class Objective:
    """One metric to optimise.

    ``target`` is ``None`` for a metric that depends on no target; several targets count as their worst
    value, which gives one front for a group of devices.
    """

    metric: str
    target: str | tuple[str, ...] | None = None

    @property
    def keys(self) -> tuple[Key, ...]:
        """The ``(metric, target)`` pairs that it uses."""
        targets = self.target if isinstance(self.target, tuple) else (self.target,)
        return tuple((self.metric, target) for target in targets)

    @property
    def definition(self) -> Metric:
        """Unit and direction; the error for an unknown metric lists the choices."""
        return metric_named(self.metric)

    def score(self, values: Mapping[Key, Values]) -> Values:
        """Minimised score ``(n,)`` from values ``(n,)``: that of the worst target, negated if larger is better."""
        sign = self.definition.sign
        return np.asarray(
            np.max([sign * np.asarray(values[key], dtype=np.float64) for key in self.keys], axis=0)
        )


AnyObjective = Objective | tuple[str, str | tuple[str, ...] | None]


def objectives_from(
    requested: Iterable[AnyObjective],
) -> tuple[Objective, ...]:
    """Checked objectives: at least one, all registered, no duplicates."""
    objectives = tuple(o if isinstance(o, Objective) else Objective(*o) for o in requested)
    if not objectives:
        raise ProblemError("a search needs at least one objective, got none", "objectives")
    for objective in objectives:
        _ = objective.definition
        if objective.target == ():
            raise ProblemError(f"{objective.metric!r} needs at least one target, got none", "objectives")
    if len({frozenset(objective.keys) for objective in objectives}) != len(objectives):
        raise ProblemError(
            f"objectives must differ, got {[(o.metric, o.target) for o in objectives]}", "objectives"
        )
    return objectives


class Problem:
    """Computes scores and violations of populations from surrogates and closed forms.

    Immutable, except that the owner of the surrogates may refit them. Scoring has no side effects and is
    deterministic. A limit is checked against the surrogate's quantile at
    ``confidence``: the upper one for ``max``, the lower one (``1 - confidence``) for ``min``. Closed
    forms are exact and need no margin.
    """

    def __init__(
        self,
        space: Space,
        objectives: Iterable[AnyObjective],
        *,
        surrogates: Mapping[Key, Surrogate] | None = None,
        costs: Costs | None = None,
        constraints: Iterable[Constraint] = (),
        confidence: float = 0.95,
    ) -> None:
        """``objectives`` may be ``(metric, target)`` pairs; ``costs`` gives closed-form metrics by name."""
        self.space = space
        self.objectives = objectives_from(objectives)
        self.constraints = merged(constraints)
        self.surrogates = dict(surrogates or {})
        self.costs = costs
        if isinstance(confidence, bool) or not math.isfinite(confidence) or not 0.5 <= confidence < 1:
            raise ProblemError(f"confidence must lie in [0.5, 1), got {confidence!r}", "confidence")
        self.confidence = float(confidence)
        used = [key for o in self.objectives for key in o.keys] + [c.key for c in self.constraints]
        self.keys: tuple[Key, ...] = tuple(dict.fromkeys(used))
        for key in self.keys:
            if not self._known(key):
                choices = [m if t is None else f"{m}@{t}" for m, t in self.surrogates]
                raise MissingPredictorError(*key, choices)

    def _closed_form(self, key: Key) -> bool:
        return (
            self.costs is not None
            and key not in self.surrogates
            and metric_named(key[0]).source == "closed_form"
        )

    def _known(self, key: Key) -> bool:
        return key in self.surrogates or self._closed_form(key)

    @property
    def n_objectives(self) -> int:
        """Number of columns of the scores."""
        return len(self.objectives)

    def with_constraints(self, constraints: Iterable[Constraint]) -> Problem:
        """The same problem with other constraints."""
        return Problem(
            self.space,
            self.objectives,
            surrogates=self.surrogates,
            costs=self.costs,
            constraints=constraints,
            confidence=self.confidence,
        )

    def predict(self, population: Population) -> dict[Key, Values]:
        """Expected value ``(n,)`` of every metric in use, in its unit and direction."""
        exact = self._exact(population)
        return {key: exact[key] if key in exact else self._mean(key, population) for key in self.keys}

    def score(self, population: Population, margin: bool = True) -> tuple[Values, Values]:
        """Scores ``(n, m)``, all minimised, and violations ``(n,) >= 0`` (0 feasible) of a population.

        Scores are expected values. Limits are checked at ``confidence`` with ``margin``, against the
        expected values without it. Rows with a prediction that is not finite get infinite scores and an
        infinite violation.
        """
        if len(population) == 0:
            return np.zeros((0, self.n_objectives)), np.zeros(0)
        exact = self._exact(population)
        means = {
            key: exact[key] if key in exact else self._mean(key, population)
            for key in dict.fromkeys(key for o in self.objectives for key in o.keys)
        }
        scores = np.stack([objective.score(means) for objective in self.objectives], axis=1)
        violation = np.zeros(len(population))
        for constraint in self.constraints:
            violation += constraint.excess(*self._bounds(constraint, population, exact, means, margin))
        broken = ~(np.isfinite(scores).all(axis=1) & np.isfinite(violation))
        scores[broken], violation[broken] = np.inf, np.inf
        return scores, violation

    def slack(self, population: Population, margin: bool = True) -> Values:
        """Relative distance ``(n, constraints)`` to each limit; negative if it is violated."""
        exact = self._exact(population)
        columns = [np.zeros((len(population), 0))]
        for constraint in self.constraints:
            upper, lower = self._bounds(constraint, population, exact, {}, margin)
            room = np.full(len(population), np.inf)
            if constraint.max is not None:
                room = (constraint.max - upper) / constraint.max
            if constraint.min is not None:
                room = np.minimum(room, (lower - constraint.min) / (constraint.min or 1.0))
            columns.append(room[:, None])
        return np.concatenate(columns, axis=1)

    def _bounds(
        self,
        constraint: Constraint,
        population: Population,
        exact: Mapping[Key, Values],
        means: Mapping[Key, Values],
        margin: bool,
    ) -> tuple[Values, Values]:
        """The values that are compared with ``max`` and with ``min``."""
        key = constraint.key
        if key in exact:
            return exact[key], exact[key]
        if not margin:
            mean = means[key] if key in means else self._mean(key, population)
            return mean, mean
        model = self.surrogates[key]
        blank = np.zeros(len(population))
        upper = lower = blank
        if constraint.max is not None:
            upper = self._shaped(key, model.quantile(population, self.confidence), len(population))
        if constraint.min is not None:
            lower = self._shaped(key, model.quantile(population, 1 - self.confidence), len(population))
        return upper, lower

    def _exact(self, population: Population) -> dict[Key, Values]:
        keys = [key for key in self.keys if self._closed_form(key)]
        if not keys or self.costs is None:
            return {}
        table = self.costs(population)
        return {key: self._shaped(key, table[key[0]], len(population)) for key in keys}

    def _mean(self, key: Key, population: Population) -> Values:
        return self._shaped(key, self.surrogates[key].predict(population)[0], len(population))

    @staticmethod
    def _shaped(key: Key, values: Values, n: int) -> Values:
        values = np.asarray(values, dtype=np.float64)
        if values.shape != (n,):
            raise SurrogateError(f"predictions of {key} must have shape ({n},), got {values.shape}")
        return values
