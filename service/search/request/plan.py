"""From a request to a :class:`search.problem.Problem`: ids checked, predictors found, limits made exact."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from predictors.predictor import Predictor as Model
from predictors.predictor import load
from search.constraints import Constraint, merged
from search.errors import ProblemError
from search.problem import Objective, Problem
from service.db import queries
from service.db.tables import Predictor, Supernet, Target
from service.errors import InvalidError, PredictorsMissingError
from service.http.schemas import Choice
from service.predictors.queries import newest_predictor
from service.problems import Action
from service.runtime.task import StepData
from service.search.request.schemas import (
    ConstraintBody,
    PredictorEntry,
    ProfileCreate,
    SearchCreate,
    SearchSpec,
)
from service.supernets.bench import model_scope
from service.supernets.checkpoints import family_of, require_network
from supernets.errors import SpaceError
from supernets.families.family import Family
from supernets.manifest import Manifest
from supernets.metrics import LATENCY, METRICS
from supernets.spaces.space import Space

Key = tuple[str, str | None]
Request = TypeVar("Request", SearchSpec, SearchCreate, ProfileCreate)


class PlannedObjective(StepData):
    """An objective; of several targets the worst counts, and a metric without a target has None."""

    metric: str
    targets: list[str] | None


class Plan(StepData):
    """The problem of one front; ``scope`` is ``shared`` or the id of the target whose front it is."""

    scope: str
    objectives: list[PlannedObjective]
    constraints: list[Constraint]
    restrict: dict[str, list[Choice]]
    confidence: float


class SearchParams(StepData):
    """Parameters of a search job; ``doubts`` are warnings about its predictors at the start."""

    search: str
    plans: list[Plan]
    predictors: list[PredictorEntry]
    doubts: list[str]


def with_ids(session: Session, project: str, body: Request) -> Request:
    """A request about a supernet and targets, with ids where it has names."""

    def target_id(text: str, field: str) -> str:
        return queries.given(session, project, Target, text, field).id

    supernet = queries.given(session, project, Supernet, body.supernet, "supernet").id
    targets = [target_id(text, f"targets.{index}") for index, text in enumerate(body.targets)]
    limits = [
        limit
        if limit.target is None
        else limit.model_copy(update={"target": target_id(limit.target, f"constraints.{index}.target")})
        for index, limit in enumerate(body.constraints)
    ]
    return body.model_copy(update={"supernet": supernet, "targets": targets, "constraints": limits})


def require_measured(
    session: Session,
    project: str,
    objectives: Sequence[tuple[str, list[str] | None]],
    constraints: Sequence[ConstraintBody],
    targets: Sequence[str],
) -> None:
    """Every measured metric in play can be measured on each of its targets, or has rows there."""
    required = [
        (f"objectives.{i}", metric, of) for i, (metric, of) in enumerate(objectives) if of is not None
    ]
    for index, body in enumerate(constraints):
        if METRICS[body.metric].source == "measured":
            of = [body.target] if body.target is not None else list(targets)
            required.append((f"constraints.{index}.metric", body.metric, of))
    for field, metric, of in required:
        for target in of:
            row = queries.given(session, project, Target, target, "targets")
            if metric not in row.metrics:
                raise InvalidError(
                    field,
                    metric,
                    [*row.metrics, *(m.name for m in METRICS.values() if m.source == "closed_form")],
                    f"{field}: {metric} cannot be measured on target {row.name!r}, only {', '.join(row.metrics)}",
                )


def check_targets(session: Session, project: str, ids: Sequence[str]) -> None:
    """Every id names a target, none twice."""
    for index, id in enumerate(ids):
        queries.given(session, project, Target, id, f"targets.{index}")
        if id in ids[:index]:
            raise InvalidError(f"targets.{index}", id, "each target once")


def limited_space(family: Family, restrict: Mapping[str, Sequence[Any]]) -> Space:
    """The family's space, restricted."""
    try:
        return family.space().restrict(restrict)
    except SpaceError as error:
        raise InvalidError(
            "restrict", dict(restrict), "axes or kinds with some of their choices", str(error)
        ) from error


def exact_constraints(
    bodies: Sequence[ConstraintBody], targets: Sequence[str], quality: str
) -> list[Constraint]:
    """Limits with the targets they mean: a measured metric without one means every target of the search."""
    constraints = []
    for index, body in enumerate(bodies):
        field = f"constraints.{index}"
        metric = _metric(body.metric, f"{field}.metric", quality)
        if metric != "measured":
            if body.target is not None:
                raise InvalidError(
                    f"{field}.target", body.target, f"null: {body.metric} depends on no target"
                )
            limited: Sequence[str | None] = [None]
        elif body.target is not None:
            if body.target not in targets:
                raise InvalidError(f"{field}.target", body.target, list(targets))
            limited = [body.target]
        else:
            limited = _every(targets, body.metric, f"{field}.target")
        try:
            constraints += [Constraint(body.metric, target, body.min, body.max) for target in limited]
        except ProblemError as error:
            got = body.model_dump(mode="json")
            raise InvalidError(field, got, "a limit that can hold", str(error)) from error
    try:
        return list(merged(constraints))
    except ProblemError as error:
        every = [body.model_dump(mode="json") for body in bodies]
        rule = "limits that do not contradict each other"
        raise InvalidError("constraints", every, rule, str(error)) from error


def exact_objectives(
    names: Sequence[str], targets: Sequence[str], quality: str
) -> list[tuple[str, list[str] | None]]:
    """Objectives with the targets they mean; several targets count as their worst."""
    objectives: list[tuple[str, list[str] | None]] = []
    for index, name in enumerate(names):
        field = f"objectives.{index}"
        if name in names[:index]:
            raise InvalidError(field, name, "each objective once")
        if _metric(name, field, quality) == "measured":
            objectives.append((name, _every(targets, name, "targets")))
        else:
            objectives.append((name, None))
    return objectives


def _metric(name: str, field: str, quality: str) -> str:
    usable = [m.name for m in METRICS.values() if m.source != "evaluated" or m.name == quality]
    if name not in usable:
        raise InvalidError(field, name, usable)
    return METRICS[name].source


def _every(targets: Sequence[str], metric: str, field: str) -> list[str]:
    if not targets:
        raise InvalidError(
            field, None, "at least one target", f"{metric} depends on a target: give 'targets'"
        )
    return list(targets)


def keys_of(
    objectives: Sequence[tuple[str, list[str] | None]], constraints: Sequence[Constraint]
) -> list[Key]:
    """Every metric in play that needs a predictor."""
    used: list[Key] = []
    for metric, targets in objectives:
        used += [(metric, None)] if targets is None else [(metric, target) for target in targets]
    used += [constraint.key for constraint in constraints]
    return [key for key in dict.fromkeys(used) if METRICS[key[0]].source != "closed_form"]


def find_predictors(
    session: Session, project: str, supernet: str, keys: Sequence[Key], chosen: Sequence[str]
) -> tuple[dict[Key, Predictor], list[Action]]:
    """A fitted predictor a key: one of those chosen, else the newest; and the requests that make the missing."""
    named: dict[Key, Predictor] = {}
    for index, id in enumerate(chosen):
        row = queries.given(session, project, Predictor, id, f"predictors.{index}")
        if row.supernet_id != supernet:
            raise InvalidError(
                f"predictors.{index}",
                id,
                f"a predictor of {supernet}",
                f"predictor {id} belongs to supernet {row.supernet_id}, the request is about {supernet}",
            )
        if (row.metric, row.target_id) not in keys:
            raise InvalidError(f"predictors.{index}", id, "a predictor of a metric and target of this search")
        if row.version is None:
            raise InvalidError(f"predictors.{index}", id, "a predictor whose fitting has succeeded")
        named[row.metric, row.target_id] = row
    found: dict[Key, Predictor] = {}
    missing: list[Action] = []
    for metric, target in keys:
        model = named.get((metric, target)) or newest_predictor(session, project, supernet, target, metric)
        if model is not None:
            found[metric, target] = model
        else:
            body = {"supernet": supernet, "target": target, "metric": metric}
            missing.append(Action(method="POST", path="/v1/predictors", body=body))
    return found, missing


def require_predictors(missing: Sequence[Action]) -> None:
    """A search cannot start on metrics that nothing predicts."""
    if missing:
        names = ", ".join(
            action.body["metric"] + (f" on {action.body['target']}" if action.body["target"] else "")
            for action in missing
        )
        raise PredictorsMissingError(
            "predictors",
            None,
            f"fitted predictors of {names}",
            f"a search needs fitted predictors of {names}: POST /v1/predictors first",
            actions=missing,
        )


def make_plans(session: Session, project: str, body: SearchSpec) -> tuple[list[Plan], dict[Key, Predictor]]:
    """The problems of a search as JSON, one a front, and the predictors it starts from.

    A search that evaluates nothing needs no predictors.
    """
    supernet = queries.given(session, project, Supernet, body.supernet, "supernet")
    require_network(supernet)
    family, quality = family_of(supernet), supernet.quality
    check_targets(session, project, body.targets)
    limited_space(family, body.restrict)
    constraints = exact_constraints(body.constraints, body.targets, quality)
    objectives = exact_objectives(body.objectives, body.targets, quality)
    require_measured(session, project, objectives, body.constraints, body.targets)
    found, missing = find_predictors(
        session, project, body.supernet, keys_of(objectives, constraints), body.predictors
    )
    if body.budget.evaluations:
        require_predictors(missing)
    return [_plan(body, scope, objectives, constraints) for scope in front_scopes(body)], found


def front_scopes(body: SearchSpec) -> list[str]:
    """``shared``, or the ids of the targets that get a front each."""
    return body.targets if body.front == "per_target" and body.targets else ["shared"]


def _plan(
    body: SearchSpec,
    scope: str,
    objectives: Sequence[tuple[str, list[str] | None]],
    limits: Sequence[Constraint],
) -> Plan:
    def mine(target: str | None) -> bool:
        return scope == "shared" or target is None or target == scope

    return Plan(
        scope=scope,
        objectives=[
            PlannedObjective(
                metric=metric,
                targets=None if targets is None else [target for target in targets if mine(target)],
            )
            for metric, targets in objectives
        ],
        constraints=[limit for limit in limits if mine(limit.target)],
        restrict=body.restrict,
        confidence=body.confidence,
    )


def plan_objectives(plan: Plan) -> list[Objective]:
    """Objectives of a plan."""
    found = []
    for planned in plan.objectives:
        targets = planned.targets
        several = None if targets is None else targets[0] if len(targets) == 1 else tuple(targets)
        found.append(Objective(planned.metric, several))
    return found


def plan_keys(plan: Plan) -> list[Key]:
    """Metrics of a plan that are predicted."""
    return keys_of([(planned.metric, planned.targets) for planned in plan.objectives], plan.constraints)


def make_problem(plan: Plan, family: Family, models: Mapping[Key, Model]) -> Problem:
    """The problem of a plan on fitted models."""
    return Problem(
        family.space().restrict(plan.restrict),
        plan_objectives(plan),
        surrogates={key: models[key] for key in plan_keys(plan)},
        costs=family.costs,
        constraints=plan.constraints,
        confidence=plan.confidence,
    )


def load_models(
    rows: Mapping[Key, str], read: Callable[[str], bytes], family: Family, manifest: Manifest
) -> dict[Key, Model]:
    """Fitted models by the hash of their file; each is refused unless it is of this supernet and target."""
    return {
        (metric, target): load(read(version), family, model_scope(manifest, metric, target))
        for (metric, target), version in rows.items()
    }


def profile_parts(
    session: Session, project: str, body: ProfileCreate
) -> tuple[Supernet, list[Constraint], dict[Key, Predictor], list[Action]]:
    """What a quick look needs; a missing predictor is no mistake here."""
    supernet = queries.given(session, project, Supernet, body.supernet, "supernet")
    quality = supernet.quality
    check_targets(session, project, body.targets)
    limits = exact_constraints(body.constraints, body.targets, quality)
    require_measured(session, project, [], body.constraints, body.targets)
    every: list[Key] = [(LATENCY, target) for target in body.targets]
    if quality in METRICS:  # the space of a table has none
        every.insert(0, (quality, None))
    keys = list(dict.fromkeys([*every, *keys_of([], limits)]))
    found, missing = find_predictors(session, project, body.supernet, keys, body.predictors)
    return supernet, limits, found, missing
