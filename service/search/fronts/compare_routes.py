"""Fronts of several searches side by side: whose is larger, and which points are new."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query
from numpy.typing import NDArray
from pydantic import Field

from search.fronts.front import hypervolume, non_dominated
from service.db import queries
from service.db.tables import Search, Target
from service.errors import InvalidError
from service.http.deps import App, Project
from service.problems import View
from service.search.fronts.views import scores
from service.search.request.queries import points_of_search, target_names
from service.search.request.schemas import FrontPoint
from supernets.metrics import METRICS

router = APIRouter(prefix="/v1", tags=["searches"])
MOST = 8
MARGIN = 0.1  # of the range of an objective, beyond its worst value
ROUNDING = 1e-9  # relative; hypervolumes that differ by less are equal


class ComparedPoint(View):
    """A point of one front, seen from all of them."""

    subnet: str
    values: dict[str, float] = Field(
        description="True value of each objective: on validation, measured, or exact"
    )
    new: bool = Field(description="The first search's front does not have this subnet")
    best: bool = Field(description="No point of any of these fronts is better in every objective")


class ComparedFront(View):
    """The front of one search."""

    search: str
    hypervolume: float = Field(description="Up to the common reference point; larger is better")
    share: float | None = Field(description="Of the hypervolume of all fronts together; null where that is 0")
    new: int = Field(description="Points whose subnets the first search's front does not have")
    common: int = Field(
        description="Points whose subnets the first search's front has too: differences of their values are noise of "
        "measuring them again"
    )
    best: int = Field(description="Points on the front of all searches together")
    points: list[ComparedPoint]


class CompareView(View):
    """Fronts with the same objectives, best first objective first, with a reference point for all."""

    objectives: list[str]
    target: str | None
    reference_point: dict[str, float] = Field(
        description="The worst value of each objective on these fronts, and a tenth of the range beyond it"
    )
    fronts: list[ComparedFront]


@router.get("/searches:compare")
def compare_searches(
    app: App,
    project: Project,
    search: Annotated[
        list[str],
        Query(min_length=2, max_length=MOST, description="Ids of searches; repeated. The first is the base"),
    ],
    target: Annotated[
        str | None,
        Query(description="Whose values to compare; needed with different targets, or a front for each"),
    ] = None,
) -> CompareView:
    """Compare the fronts of searches of one supernet and target with the same objectives, by true values."""
    with app.database.read() as session:
        if target is not None:
            target = queries.given(session, project, Target, target, "target").id
        rows = [queries.given(session, project, Search, id, "search") for id in search]
        fronts = [
            [FrontPoint.model_validate(body) for body in points_of_search(session, project, row.id)]
            for row in rows
        ]
        names = target_names(session, project)
        objectives: list[str] = rows[0].spec["objectives"]
        for row in rows:
            if row.supernet_id != rows[0].supernet_id:
                raise InvalidError("search", row.id, f"searches of one supernet, {rows[0].supernet_id}")
            if row.spec["objectives"] != objectives:
                raise InvalidError("search", row.id, f"searches with the objectives {', '.join(objectives)}")
    if any(METRICS[name].source == "measured" for name in objectives):
        _check_targets(rows, target, names)
    fronts = [
        [point for point in front if target is None or point.target in (None, target)] for front in fronts
    ]
    owners = {point.target for front in fronts for point in front}
    if target is None and len(owners) > 1:
        choices = sorted(names.get(owner, owner) for owner in owners if owner is not None)
        raise InvalidError(
            "target", target, choices, f"target must be one of {', '.join(choices)}: each has a front"
        )
    return _compared(search, fronts, objectives, target)


def _check_targets(rows: Sequence[Search], target: str | None, names: Mapping[str, str]) -> None:
    """Raise InvalidError where values would be of different targets."""
    targets = [set(row.spec["targets"]) for row in rows]
    if all(each == targets[0] if target is None else target in each for each in targets):
        return
    got = "; ".join(
        f"{row.id} on {', '.join(sorted(names.get(id, id) for id in each))}"
        for row, each in zip(rows, targets, strict=True)
    )
    choices = sorted(names.get(id, id) for id in set.intersection(*targets))
    if target is None:
        rule = "searches to compare must have the same targets"
    else:
        rule = f"searches to compare on target {names.get(target, target)} must all have it"
    if choices:
        allowed = f"target must be one that all have: {', '.join(choices)}"
    else:
        allowed = "they have none in common: choose searches of one target"
    message = f"{rule}, got {got}; {allowed}"
    raise InvalidError("target", None if target is None else names.get(target, target), choices, message)


def _compared(
    ids: list[str], fronts: list[list[FrontPoint]], objectives: list[str], target: str | None
) -> CompareView:
    values = [scores(front, objectives, target) for front in fronts]
    values = [found[np.isfinite(found).all(axis=1)] for found in values]
    fronts = [
        [p for p, row in zip(front, scores(front, objectives, target), strict=True) if np.isfinite(row).all()]
        for front in fronts
    ]
    together = np.concatenate(values)
    signs = np.array([METRICS[name].sign for name in objectives])
    if len(together) == 0:
        empty = [
            ComparedFront(search=id, hypervolume=0, share=None, new=0, common=0, best=0, points=[])
            for id in ids
        ]
        return CompareView(objectives=objectives, target=target, reference_point={}, fronts=empty)
    worst, best = together.max(axis=0), together.min(axis=0)
    reference = worst + MARGIN * np.where(worst > best, worst - best, np.maximum(np.abs(worst), 1e-9))
    whole, front_of_all = hypervolume(together, reference), together[non_dominated(together)]
    base = {point.subnet for point in fronts[0]}
    compared = []
    for id, front, found in zip(ids, fronts, values, strict=True):
        points = [
            ComparedPoint(
                subnet=point.subnet,
                values=dict(zip(objectives, (signs * row).tolist(), strict=True)),
                new=point.subnet not in base,
                best=bool(_equal_to_any(row, front_of_all)),
            )
            for point, row in zip(front, found, strict=True)
        ]
        volume = hypervolume(found, reference) if len(found) else 0.0
        compared.append(
            ComparedFront(
                search=id,
                hypervolume=volume,
                share=_share(volume, whole),
                new=sum(point.new for point in points),
                common=sum(not point.new for point in points),
                best=sum(point.best for point in points),
                points=points,
            )
        )
    reference_point = dict(zip(objectives, (signs * reference).tolist(), strict=True))
    return CompareView(objectives=objectives, target=target, reference_point=reference_point, fronts=compared)


def _share(volume: float, whole: float) -> float | None:
    if whole <= 0:
        return None
    return 1.0 if math.isclose(volume, whole, rel_tol=ROUNDING) else volume / whole


def _equal_to_any(row: NDArray[np.float64], rows: NDArray[np.float64]) -> bool:
    return bool((rows == row).all(axis=1).any())
