"""How good the fronts were after so many real evaluations: hypervolume up to a point fixed before the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.front import hypervolume
from search.measured import measured_front
from search.optimise import Stall, TracePoint
from service.search.plan import Key, Plan, plan_constraints, plan_objectives

Json = dict[str, Any]
Values = NDArray[np.float64]
LEAST_PATIENCE = 32


def stop_rule(spec: Mapping[str, Any]) -> Stall:
    """When the search ends by itself: patience is a quarter of the budget, at least 32, unless given."""
    asked = spec["stall"]
    patience = asked["evaluations"] or max(LEAST_PATIENCE, spec["budget"]["evaluations"] // 4)
    return Stall(patience, asked["gain"])


def measure_fronts(
    plans: Sequence[Plan],
    values: Mapping[Key, Values],
    references: Sequence[Sequence[float] | None],
    evaluations: int,
    seconds: float,
) -> list[Json]:
    """One entry a plan: its hypervolume by true values, feasible archs only."""
    return [
        {
            "scope": plan["scope"],
            "evaluations": evaluations,
            "seconds": round(seconds, 3),
            "hypervolume": _volume(plan, values, reference),
        }
        for plan, reference in zip(plans, references, strict=True)
        if reference is not None
    ]


def _volume(plan: Plan, values: Mapping[Key, Values], reference: Sequence[float]) -> float:
    objectives = plan_objectives(plan)
    found = measured_front(values, objectives, plan_constraints(plan))
    if not len(found.front):
        return 0.0
    scores = np.stack([objective.score(values) for objective in objectives], axis=1)[found.front]
    return hypervolume(scores, np.array(reference, dtype=np.float64))


def all_stalled(plans: Sequence[Plan], history: Sequence[Json], rule: Stall) -> bool:
    """Whether the front of every plan has stopped growing."""
    traces: dict[str, list[TracePoint]] = {plan["scope"]: [] for plan in plans}
    for entry in history:
        point = TracePoint(entry["evaluations"], entry["seconds"], entry["hypervolume"])
        traces[entry["scope"]].append(point)
    return bool(traces) and all(rule.reached(trace) for trace in traces.values())


def reference_view(plans: Sequence[Plan], references: Sequence[Sequence[float] | None]) -> list[Json]:
    """The reference points as stored: ``{scope, metric, value}``, values in the metric's own unit."""
    rows = []
    for plan, reference in zip(plans, references, strict=True):
        for objective, score in zip(plan_objectives(plan), reference or [], strict=False):
            value = objective.definition.sign * score
            rows.append({"scope": plan["scope"], "metric": objective.metric, "value": value})
    return rows


def inherited(plans: Sequence[Plan], stored: Sequence[Json]) -> list[list[float] | None]:
    """References of a search that is extended, for those plans of which it has every objective."""
    known = {(row["scope"], row["metric"]): row["value"] for row in stored}
    found: list[list[float] | None] = []
    for plan in plans:
        objectives = plan_objectives(plan)
        values = [known.get((plan["scope"], objective.metric)) for objective in objectives]
        complete = all(value is not None for value in values)
        signed = [o.definition.sign * (v or 0.0) for o, v in zip(objectives, values, strict=True)]
        found.append(signed if complete else None)
    return found
