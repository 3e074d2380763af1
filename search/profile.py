"""Predicted ranges of a space, and whether constraints can be met, without a job."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.constraints import Key
from search.errors import SurrogateError
from search.optimise import optimise, unique_members
from search.problem import Problem
from search.seen import start_set
from supernets.spaces.space import Population

PROBES = 256
PROFILE_EVALUATIONS = 2_000


@dataclass(frozen=True, slots=True)
class Range:
    """Predicted values of a metric in its unit: smallest, of the centroid arch, largest."""

    min: float
    centroid: float
    max: float


@dataclass(frozen=True, slots=True)
class Profile:
    """Predicted ranges of a space. ``nearest`` is the arch ``(d,)`` with the smallest violation."""

    metrics: dict[Key, Range]
    satisfiable: bool
    nearest: NDArray[np.int64]
    nearest_values: dict[Key, float]
    violation: float
    scored: int

    def as_json(self) -> dict[str, object]:
        """As JSON, with one entry per metric and target."""
        rows = [
            {"metric": m, "target": t, "min": r.min, "centroid": r.centroid, "max": r.max}
            for (m, t), r in self.metrics.items()
        ]
        nearest = [{"metric": m, "target": t, "value": v} for (m, t), v in self.nearest_values.items()]
        return {
            "metrics": rows,
            "satisfiable": self.satisfiable,
            "nearest": nearest,
            "violation": self.violation,
            "scored": self.scored,
        }


def centroid(problem: Problem) -> Population:
    """The member ``(1, d)`` with the middle allowed choice on every axis."""
    space = problem.space
    return space.canonical(
        np.array([[choices[len(choices) // 2] for choices in space.allowed]], dtype=np.int64)
    )


def profile(problem: Problem, seed: int) -> Profile:
    """Range of every metric in use and whether the constraints can be met, from predictions alone.

    Scores 256 probes spread over sizes. If none of them is feasible, it searches up to 2,000 archs for a
    feasible one. Ranges cover all scored archs.
    """
    space = problem.space
    rng = np.random.default_rng(seed)
    probes = np.concatenate([centroid(problem), start_set(space, rng, PROBES)])
    probes = unique_members(problem, probes)
    found = optimise(problem, "random", len(probes), seed, probes)
    if not found.feasible and len(problem.constraints):
        found = optimise(problem, None, PROFILE_EVALUATIONS, seed, found.archs)
    if len(found.archs) == 0:
        raise SurrogateError(
            f"none of {len(probes)} probes has a finite prediction; fit the predictors again"
        )
    values = problem.predict(found.archs)
    middle = problem.predict(centroid(problem))
    nearest = found.nearest()
    assert nearest is not None
    return Profile(
        {k: Range(float(v.min()), float(middle[k][0]), float(v.max())) for k, v in values.items()},
        found.feasible,
        found.archs[nearest],
        {k: float(v[nearest]) for k, v in values.items()},
        float(found.violations[nearest]),
        len(found.archs),
    )
