"""Points of a front as the API returns them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from search.constraints import Constraint
from search.fronts.measured import Miss
from service.db.tables import Supernet
from service.measurements.models import PREDICTED, Quality, SubnetTiming
from service.measurements.rows import subnet_ids
from service.runtime.context import WorkContext
from service.search.request.schemas import FrontPoint, MeasuredValue, QualityValue, Violation
from service.search.rounds.history import SearchHistory
from service.search.rounds.judge import Judgement
from service.supernets.bench import population_of
from service.supernets.checkpoints import family_of
from supernets.metrics import LATENCY
from supernets.spaces.space import Choice
from supernets.words import counted

NOISY = ("noisy", "contended", "refused")


@dataclass(frozen=True)
class FinishedSearch:
    """A search whose finalists are confirmed and judged, before its front is stored."""

    id: str
    job: WorkContext
    supernet: Supernet
    judgements: Sequence[Judgement]
    history: SearchHistory


def front_points(session: Session, search: FinishedSearch) -> list[list[FrontPoint]]:
    """The points of the feasible fronts, one list for each judgement."""
    judgements, history = search.judgements, search.history
    kept = [index for each in judgements for index in each.front]
    found = _describe(session, search.job, search.supernet, history, kept)
    return [
        [_point(search.id, each, index, found[index], history) for index in each.front] for each in judgements
    ]


def describe_nearest(session: Session, search: FinishedSearch) -> FrontPoint | None:
    """Where nothing is feasible, the nearest point and by how much it misses each limit."""
    if any(judgement.front for judgement in search.judgements):
        return None
    reached = [judgement for judgement in search.judgements if judgement.nearest is not None]
    if not reached:
        return None
    best = min(reached, key=lambda judgement: judgement.least_violation)
    assert best.nearest is not None
    found = _describe(session, search.job, search.supernet, search.history, [best.nearest])
    return _point(search.id, best, best.nearest, found[best.nearest], search.history)


def warnings_of(judgements: Sequence[Judgement], history: SearchHistory, stopped: str) -> list[str]:
    """Warnings about the front: what makes its values uncertain."""
    warnings = [] if stopped == "budget" else [f"ended early: {stopped}"]
    for target, confirmed in history.confirmations.items():
        for verdict in NOISY:
            count = sum(timing.verdict == verdict for timing in confirmed.values())
            if count:
                warnings.append(f"{count} of {len(confirmed)} confirmations on {target} are {verdict}")
    warnings += _left_empty(judgements)
    warnings += _predicted_only(judgements, history)
    for judgement in judgements:
        for limit in judgement.plan.constraints:
            warnings += _below_on_test(limit, judgement, history)
    return warnings


def outcome_of(judgements: Sequence[Judgement], evaluations: int, stopped: str) -> str:
    """The result of a search in words."""
    points = sum(len(judgement.front) for judgement in judgements)
    judged = any(judgement.nearest is not None for judgement in judgements)
    none = "no subnet met the limits" if judged else "no subnet could be judged"
    found = f"{points} point{'s' * (points != 1)}" if points else none
    early = "" if stopped == "budget" else f"; ended early: {stopped}"
    return f"{found}, from {counted(evaluations, 'evaluation')}{early}"


def _left_empty(judgements: Sequence[Judgement]) -> list[str]:
    """Targets that have no front, where others have one: the search as a whole is feasible then."""
    if not any(judgement.front for judgement in judgements):
        return []
    warnings = []
    for judgement in judgements:
        if not judgement.front:
            misses = [
                f"{miss.constraint.metric} by {100 * miss.excess:.3g} % of its limit"
                for miss in judgement.misses
                if miss.excess > 0
            ]
            nearest = f"; the nearest misses {' and '.join(misses)}" if misses else ""
            warnings.append(f"nothing met the limits on target {judgement.plan.scope}{nearest}")
    return warnings


def _predicted_only(judgements: Sequence[Judgement], history: SearchHistory) -> list[str]:
    """Points whose latency was not measured, because the target is a table that has no row for them."""
    returned = sorted({index for judgement in judgements for index in judgement.returned})
    warnings = []
    for target, timings in history.confirmations.items():
        count = sum(index in timings and timings[index].verdict == PREDICTED for index in returned)
        if count:
            warnings.append(
                f"{count} of {len(returned)} points are predicted only on {target}: it is a table without rows for "
                f"them and cannot measure; limits were checked against the upper end of the prediction"
            )
    return warnings


def _below_on_test(limit: Constraint, judgement: Judgement, history: SearchHistory) -> list[str]:
    """A lower limit on quality is judged on validation; the test split may disagree."""
    low = limit.min
    tested = [
        history.test[i]
        for i in judgement.front
        if i in history.test and history.test[i].metric == limit.metric
    ]
    below = [found for found in tested if low is not None and found.value < low]
    if not below:
        return []
    return [f"{len(below)} of {len(tested)} points have {limit.metric} below {low} on the test split"]


Described = tuple[str, dict[str, Choice], dict[str, float]]


def _describe(
    session: Session, job: WorkContext, supernet: Supernet, history: SearchHistory, indices: Sequence[int]
) -> dict[int, Described]:
    """Subnet id, arch and closed-form costs of entries of the history."""
    family, chosen = family_of(supernet), sorted(set(indices))
    population = population_of(family, [history.rows[index] for index in chosen])
    ids = subnet_ids(session, job, supernet, population)
    archs, costs = family.space().decode(population), family.costs(population)
    return {
        index: (ids[k], archs[k].as_dict(), {name: float(costs[name][k]) for name in family.known_costs})
        for k, index in enumerate(chosen)
    }


def _point(
    search: str, judgement: Judgement, index: int, described: Described, history: SearchHistory
) -> FrontPoint:
    subnet, arch, costs = described
    scope = judgement.plan.scope
    confirmed = {t: timings[index] for t, timings in history.confirmations.items() if index in timings}
    misses = () if judgement.front else judgement.misses
    return FrontPoint(
        subnet=subnet,
        search=search,
        target=None if scope == "shared" else scope,
        arch=arch,
        feasible=bool(judgement.front),
        violations=[_violation(miss) for miss in misses if miss.excess > 0],
        predicted=history.predicted[index],
        measured=[value for target, timing in confirmed.items() for value in _measured(target, timing)],
        quality=_quality(history.test.get(index)),
        validation=_quality(history.validation[index]),
        costs=costs,
    )


def _measured(target: str, timing: SubnetTiming) -> list[MeasuredValue]:
    """The confirmed latency on a target, and what else was measured with it."""
    if timing.latency_ms is None or timing.verdict == PREDICTED:
        return []
    reference = {f"reference_{name}": value for name, value in timing.reference.items()}
    latency = MeasuredValue(
        metric=LATENCY,
        target=target,
        value=timing.latency_ms,
        spread=timing.standard_error_ms,
        n=timing.rounds,
        statistic=timing.statistic,
        protocol_version=timing.protocol_version,
        verdict=timing.verdict,
        raw={**timing.raw_ms, "n": timing.raw_n, **reference},
    )
    extras = [
        MeasuredValue(
            metric=metric, target=target, protocol_version=None, verdict=None, raw={}, **extra.model_dump()
        )
        for metric, extra in timing.extras.items()
    ]
    return [latency, *extras]


def _quality(found: Quality | None) -> QualityValue | None:
    if found is None:
        return None
    return QualityValue(**found.model_dump(include=set(QualityValue.model_fields)))


def _violation(miss: Miss) -> Violation:
    limit = miss.constraint
    return Violation(
        metric=limit.metric,
        target=limit.target,
        max=limit.max,
        min=limit.min,
        value=miss.value,
        excess=miss.excess,
    )
