"""Points of a front as the API returns them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from search.measured import Miss
from service.db.tables import Supernet
from service.measurements.lookup import PREDICTED
from service.measurements.rows import population_of, subnet_ids
from service.runtime.context import WorkContext
from service.search.judge import Judgement
from service.search.schemas import FrontPoint, MeasuredValue, PredictedValue, QualityValue, Violation
from service.search.trail import Trail
from service.supernets.checkpoints import family_of

Json = dict[str, Any]
NOISY = ("noisy", "contended", "refused")


def front_points(
    session: Session,
    job: WorkContext,
    supernet: Supernet,
    search: str,
    judgements: Sequence[Judgement],
    trail: Trail,
) -> list[list[Json]]:
    """Bodies of the feasible fronts, one list a judgement."""
    found = _describe(session, job, supernet, trail, [index for each in judgements for index in each.front])
    return [[_point(search, each, index, found[index], trail) for index in each.front] for each in judgements]


def describe_nearest(
    session: Session,
    job: WorkContext,
    supernet: Supernet,
    search: str,
    judgements: Sequence[Judgement],
    trail: Trail,
) -> Json | None:
    """Where nothing is feasible, the nearest point and by how much it misses each limit."""
    if any(judgement.front for judgement in judgements):
        return None
    reached = [judgement for judgement in judgements if judgement.nearest is not None]
    if not reached:
        return None
    best = min(reached, key=lambda judgement: judgement.least_violation)
    assert best.nearest is not None
    found = _describe(session, job, supernet, trail, [best.nearest])
    return _point(search, best, best.nearest, found[best.nearest], trail)


def warnings_of(judgements: Sequence[Judgement], trail: Trail, stopped: str) -> list[str]:
    """What a user should know before trusting the front."""
    warnings = [] if stopped == "budget" else [f"ended early: {stopped}"]
    for target, confirmed in trail.confirmations.items():
        for verdict in NOISY:
            count = sum(timing["verdict"] == verdict for timing in confirmed.values())
            if count:
                warnings.append(f"{count} of {len(confirmed)} confirmations on {target} are {verdict}")
    warnings += _left_empty(judgements)
    warnings += _predicted_only(judgements, trail)
    for judgement in judgements:
        for limit in judgement.plan["constraints"]:
            warnings += _below_on_test(limit, judgement, trail)
    return warnings


def outcome_of(judgements: Sequence[Judgement], evaluations: int, stopped: str) -> str:
    """What came out of a search, in words."""
    points = sum(len(judgement.front) for judgement in judgements)
    found = f"{points} point{'s' * (points != 1)}" if points else "no subnet met the limits"
    early = "" if stopped == "budget" else f"; ended early: {stopped}"
    return f"{found}, from {evaluations} evaluations{early}"


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
            warnings.append(f"nothing met the limits on target {judgement.plan['scope']}{nearest}")
    return warnings


def _predicted_only(judgements: Sequence[Judgement], trail: Trail) -> list[str]:
    """Points whose latency nobody measured, because the target is a table that has no row for them."""
    returned = sorted({index for judgement in judgements for index in judgement.returned})
    warnings = []
    for target, timings in trail.confirmations.items():
        count = sum(timings.get(index, {}).get("verdict") == PREDICTED for index in returned)
        if count:
            warnings.append(
                f"{count} of {len(returned)} points are predicted only on {target}: it is a table without rows for "
                f"them and cannot measure; limits were checked against the upper end of the prediction"
            )
    return warnings


def _below_on_test(limit: Json, judgement: Judgement, trail: Trail) -> list[str]:
    """A lower limit on quality is judged on validation; test may disagree, and then it must be said."""
    low = limit.get("min")
    tested = [
        trail.test[i]
        for i in judgement.front
        if i in trail.test and trail.test[i]["metric"] == limit["metric"]
    ]
    below = [found for found in tested if low is not None and found["value"] < low]
    if not below:
        return []
    return [f"{len(below)} of {len(tested)} points have {limit['metric']} below {low} on the test split"]


Described = tuple[str, Json, Json]


def _describe(
    session: Session, job: WorkContext, supernet: Supernet, trail: Trail, indices: Sequence[int]
) -> dict[int, Described]:
    """Subnet id, arch and closed-form costs of entries of the trail."""
    family, wanted = family_of(supernet), sorted(set(indices))
    population = population_of(family, [trail.rows[index] for index in wanted])
    ids = subnet_ids(session, job, supernet, population)
    archs, costs = family.space().decode(population), family.costs(population)
    return {
        index: (ids[k], archs[k].as_dict(), {name: float(costs[name][k]) for name in family.known_costs})
        for k, index in enumerate(wanted)
    }


def _point(search: str, judgement: Judgement, index: int, described: Described, trail: Trail) -> Json:
    subnet, arch, costs = described
    scope = judgement.plan["scope"]
    target = None if scope == "shared" else scope
    confirmed = {t: timings[index] for t, timings in trail.confirmations.items() if index in timings}
    point = FrontPoint(
        subnet=subnet,
        search=search,
        target=target,
        arch=arch,
        feasible=bool(judgement.front),
        violations=[]
        if judgement.front
        else [_violation(miss) for miss in judgement.misses if miss.excess > 0],
        predicted=[PredictedValue.model_validate(each) for each in trail.predicted[index]],
        measured=[
            value
            for t, timing in confirmed.items()
            if timing["latency_ms"] is not None and timing["verdict"] != PREDICTED
            for value in (_measured(t, timing), *_extras(t, timing))
        ],
        quality=_quality(trail.test.get(index)),
        validation=_quality(trail.validation[index]),
        costs=costs,
    )
    return point.model_dump(mode="json")


def _measured(target: str, timing: Json) -> MeasuredValue:
    reference = {f"reference_{name}": value for name, value in timing["reference"].items()}
    return MeasuredValue(
        metric="latency_ms",
        target=target,
        value=timing["latency_ms"],
        spread=timing["standard_error_ms"],
        n=timing["rounds"],
        statistic=timing["statistic"],
        protocol_version=None if timing["protocol_version"] is None else str(timing["protocol_version"]),
        verdict=timing["verdict"],
        raw={**timing["raw_ms"], "n": timing["raw_n"], **reference},
    )


def _extras(target: str, timing: Json) -> list[MeasuredValue]:
    """What else was measured of a net beside its latency."""
    return [
        MeasuredValue(
            metric=metric, target=target, protocol_version=None, verdict=None, raw={}, **_stated(found)
        )
        for metric, found in timing.get("extras", {}).items()
    ]


def _stated(found: Json) -> Json:
    return {name: found[name] for name in ("value", "spread", "n", "statistic")}


def _quality(found: Json | None) -> QualityValue | None:
    if found is None:
        return None
    return QualityValue(**{name: found[name] for name in QualityValue.model_fields})


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
