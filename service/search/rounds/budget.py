"""How a search divides its budget into rounds, and when it stops before the budget is spent."""

from __future__ import annotations

import math
from collections.abc import Sequence

from search.optimise import Stall, TracePoint
from service.runtime.task import StepData
from service.search.request.plan import Plan
from service.search.request.schemas import SearchSpec

LEAST_PATIENCE = 32
ROUND = 8
MOST_ROUNDS = 8
TIMED_ROUND = 16
PROBE = 4  # evaluations for estimating how long one takes, where time is bounded too


def round_sizes(budget: int, *, timed: bool = False) -> list[int]:
    """How many evaluations each round gets; where time is bounded, a small first one shows how long they take.

    Then no round has more than ``TIMED_ROUND``: the number of evaluations may be far above what the time allows.
    """
    if timed and budget > 2 * PROBE:
        rest = round_sizes(budget - PROBE)
        if rest[0] > TIMED_ROUND:
            whole, last = divmod(budget - PROBE, TIMED_ROUND)
            rest = [TIMED_ROUND] * whole + ([last] if last else [])
        return [PROBE, *rest]
    rounds = min(MOST_ROUNDS, math.ceil(budget / ROUND))
    return [budget // rounds + (index < budget % rounds) for index in range(rounds)]


def affordable(size: int, seconds: float | None, spent_s: float, evaluations: int) -> int:
    """How many of ``size`` evaluations the time left allows, going by those so far."""
    if seconds is None:
        return size
    if spent_s >= seconds:
        return 0
    return min(size, int((seconds - spent_s) * evaluations / spent_s)) if evaluations else size


class FrontSize(StepData):
    """Hypervolume of one front after this many evaluations, validation images and seconds."""

    scope: str
    evaluations: int
    images: int = 0
    seconds: float
    hypervolume: float


def stop_rule(spec: SearchSpec) -> Stall:
    """When the search ends by itself: patience is a quarter of the budget, at least 32, unless requested."""
    patience = spec.stall.evaluations or max(LEAST_PATIENCE, spec.budget.evaluations // 4)
    return Stall(patience, spec.stall.gain)


def all_stalled(plans: Sequence[Plan], history: Sequence[FrontSize], rule: Stall) -> bool:
    """Whether the front of every plan has stopped growing."""
    traces: dict[str, list[TracePoint]] = {plan.scope: [] for plan in plans}
    for entry in history:
        traces[entry.scope].append(TracePoint(entry.evaluations, entry.seconds, entry.hypervolume))
    return bool(traces) and all(rule.reached(trace) for trace in traces.values())
