"""A quick look at what a space offers: closed forms and predictors only, no torch, no job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from predictors.predictor import Predictor as Model
from search.constraints import Constraint
from search.problem import Problem
from search.profile import profile
from service.problems import Action
from service.search.request.schemas import MetricRange, ProfileView, Unmet
from supernets.families.family import Family
from supernets.metrics import METRICS
from supernets.spaces.space import Population, Space

Key = tuple[str, str | None]
PROBES = 1000


def look(
    family: Family,
    space: Space,
    models: Mapping[Key, Model],
    constraints: Sequence[Constraint],
    confidence: float,
    missing: Sequence[Action],
    seed: int,
) -> ProfileView:
    """Ranges of every metric with a predictor over ``space``, and whether the limits can be met."""
    closed: list[Key] = [(name, None) for name in METRICS if name in family.known_costs]
    keys: list[Key] = [*closed, *models]
    problem = Problem(
        space,
        keys,
        surrogates=models,
        costs=family.costs,
        constraints=[limit for limit in constraints if limit.key in keys],
        confidence=confidence,
    )
    found = profile(problem, seed)
    probes = np.unique(space.sample(np.random.default_rng(seed), PROBES), axis=0)
    _, violations = problem.score(probes)
    known = len(problem.constraints) == len({limit.key for limit in constraints})
    satisfiable = found.satisfiable if known or not found.satisfiable else None
    ends = problem.predict(_ends(space))
    ranges = []
    for metric, target in keys:
        smallest, largest = (float(value) for value in ends[metric, target])
        # The ends were scored too, in a batch of another size, where the last bit of a prediction may differ.
        low = min(found.metrics[metric, target].min, smallest, largest)
        high = max(found.metrics[metric, target].max, smallest, largest)
        upward = METRICS[metric].direction == "max"
        ranges.append(
            MetricRange(
                metric=metric,
                target=target,
                unit=METRICS[metric].unit,
                source="closed_form" if METRICS[metric].source == "closed_form" else "predicted",
                smallest=smallest,
                centroid=found.metrics[metric, target].centroid,
                largest=largest,
                best=high if upward else low,
                worst=low if upward else high,
            )
        )
    return ProfileView(
        metrics=ranges,
        satisfiable=satisfiable,
        share=float((violations <= 0).mean()) if known else None,
        unmet=[] if found.satisfiable else _unmet(problem.constraints, found.nearest_values),
        missing=list(missing),
        sampled=len(probes),
    )


def _ends(space: Space) -> Population:
    return space.encode([space.min(), space.max()])


def _unmet(constraints: Sequence[Constraint], nearest: Mapping[Key, float]) -> list[Unmet]:
    """The limits that the nearest arch misses, by its expected values; all of them if only the margin is missed."""
    missed = [limit for limit in constraints if limit.excess(np.array([nearest[limit.key]]))[0] > 0]
    return [
        Unmet(metric=limit.metric, target=limit.target, max=limit.max, min=limit.min, best=nearest[limit.key])
        for limit in missed or constraints
    ]
