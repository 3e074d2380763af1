"""The subnets behind a front: the true values of everything evaluated within a search's space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from search.constraints import Key
from search.fronts.measured import MeasuredFront, measured_front
from search.fronts.pick import spread
from search.problem import Objective
from service.db import queries
from service.db.tables import Measurement, Search, Subnet, Supernet, Target
from service.devices.staleness import still_holds
from service.measurements.queries import scope_of
from service.search.request.plan import exact_constraints, exact_objectives, limited_space
from service.search.request.schemas import EvaluatedSubnet, EvaluatedValue, EvaluationsView, SearchSpec
from service.supernets.checkpoints import family_of
from supernets.metrics import METRICS

Values = dict[Key, NDArray[np.float64]]


@dataclass(frozen=True)
class Known:
    """Subnets with a value of every metric in play: ids, values ``(n,)`` by key, and whether this search did them."""

    subnets: list[str]
    values: Values
    own: list[bool]


def evaluations_of(
    session: Session, project: str, search: Search, target: str | None, most: int
) -> EvaluationsView:
    """At most ``most`` evaluated subnets of a search, its present front first, the others well spread.

    ``target`` selects the front where each target has one; default: the first target.
    """
    supernet = queries.get(session, project, Supernet, search.supernet_id)
    spec = SearchSpec.model_validate(search.spec)
    owner = (target or spec.targets[0]) if spec.front == "per_target" and spec.targets else None
    objectives = _objectives(spec, supernet, owner)
    limits = [
        limit
        for limit in exact_constraints(spec.constraints, spec.targets, supernet.quality)
        if owner is None or limit.target in (None, owner)
    ]
    keys = list(dict.fromkeys([key for o in objectives for key in o.keys] + [limit.key for limit in limits]))
    known = _known(session, project, search, supernet, spec, keys)
    judged = measured_front(known.values, objectives, limits)
    chosen = _chosen(known.values, objectives, judged, most)
    front = set(judged.front.tolist())
    return EvaluationsView(
        search=search.id,
        objectives=spec.objectives,
        target=owner,
        total=len(known.subnets),
        points=[_view(known, judged, index, index in front) for index in chosen],
    )


def _objectives(spec: SearchSpec, supernet: Supernet, owner: str | None) -> list[Objective]:
    found = []
    for metric, targets in exact_objectives(spec.objectives, spec.targets, supernet.quality):
        mine = None if targets is None else [owner] if owner is not None else targets
        found.append(Objective(metric, None if mine is None else mine[0] if len(mine) == 1 else tuple(mine)))
    return found


def _known(
    session: Session, project: str, search: Search, supernet: Supernet, spec: SearchSpec, keys: Sequence[Key]
) -> Known:
    """Subnets of the searched space with a value of every metric in ``keys``, oldest first."""
    measured = {key: scope_of(key[1]) for key in keys if METRICS[key[0]].source != "closed_form"}
    table: dict[str, dict[Key, tuple[float, bool]]] = {}
    for (metric, target), scope in measured.items():
        for subnet, value, job in _rows(session, project, supernet.id, metric, scope, search):
            table.setdefault(subnet, {})[metric, target] = (value, job == search.job_id)
    whole = [subnet for subnet, found in table.items() if len(found) == len(measured)]
    rows = queries.by_id(session, project, Subnet, whole)
    if spec.restrict:
        family = family_of(supernet)
        full, space = family.space(), limited_space(family, spec.restrict)
        whole = [subnet for subnet in whole if space.contains(full.arch(rows[subnet].arch))]
    values: Values = {}
    for key in keys:
        column = [
            table[subnet][key][0] if key in measured else rows[subnet].costs[key[0]] for subnet in whole
        ]
        values[key] = np.array(column, dtype=np.float64)
    own = [any(mine for _, mine in table[subnet].values()) for subnet in whole]
    return Known(whole, values, own)


def _rows(
    session: Session, project: str, supernet: str, metric: str, scope: str, search: Search
) -> list[tuple[str, float, str]]:
    """Subnet, value and job of each measurement that counted for the search, oldest first."""
    query = (
        sa.select(Measurement.subnet_id, Measurement.value, Measurement.job_id)
        .outerjoin(Target, Target.id == Measurement.target_id)
        .where(
            still_holds(),
            Measurement.project_id == project,
            Measurement.supernet_id == supernet,
            Measurement.metric == metric,
            Measurement.scope == scope,
        )
        .order_by(Measurement.created_at, Measurement.id)
    )
    if search.finished_at is not None:
        query = query.where(Measurement.created_at <= search.finished_at)
    return [(subnet, value, job) for subnet, value, job in session.execute(query)]


def _chosen(values: Values, objectives: Sequence[Objective], judged: MeasuredFront, most: int) -> list[int]:
    """Row numbers of the present front and, as far as there is room, of well spread others."""
    front = judged.front.tolist()
    scores = np.stack([objective.score(values) for objective in objectives], axis=1)
    if len(front) > most:
        return [front[index] for index in sorted(spread(scores[front], most))]
    on_front = set(front)
    others = np.array([index for index in range(len(scores)) if index not in on_front], dtype=np.int64)
    others = others[np.isfinite(scores[others]).all(axis=1)] if len(others) else others
    room = most - len(front)
    if len(others) > room:
        others = others[sorted(spread(scores[others], room))] if room else others[:0]
    return [*front, *others.tolist()]


def _view(known: Known, judged: MeasuredFront, index: int, on_front: bool) -> EvaluatedSubnet:
    values = [
        EvaluatedValue(metric=metric, target=target, value=float(column[index]))
        for (metric, target), column in known.values.items()
    ]
    return EvaluatedSubnet(
        subnet=known.subnets[index],
        own=known.own[index],
        feasible=bool(judged.feasible_rows[index]),
        front=on_front,
        values=values,
    )
