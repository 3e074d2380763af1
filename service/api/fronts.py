"""The best of everything stored."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from service.api.searches import MAX_POINTS, Format, negotiated
from service.db import queries
from service.db.tables import Supernet, Target
from service.deps import App, Project
from service.fronts import best_of, thin, true_value
from service.schemas.searches import FrontPoint, FrontView

router = APIRouter(prefix="/v1/fronts", tags=["fronts"])
STORED_LIMIT = 20_000


@router.get("", response_model=FrontView)
def get_best_front(
    app: App,
    project: Project,
    supernet: Annotated[str, Query()],
    target: Annotated[str | None, Query()] = None,
    max_latency_ms: Annotated[float | None, Query(gt=0, allow_inf_nan=False)] = None,
    min_accuracy: Annotated[float | None, Query(ge=0, le=1, allow_inf_nan=False)] = None,
    max_points: Annotated[int, Query(ge=1, le=MAX_POINTS)] = MAX_POINTS,
    format: Annotated[Format | None, Query()] = None,
    accept: Annotated[str, Header()] = "application/json",
) -> Response | FrontView:
    """The non-dominated points over all searches of a supernet (and target), by quality and latency."""
    with app.database.read() as session:
        row = queries.given(session, project, Supernet, supernet, "supernet")
        if target is not None:
            queries.given(session, project, Target, target, "target")
        bodies = queries.points_of_supernet(session, project, supernet, STORED_LIMIT)
        quality: str = row.manifest["quality"]
    points = [point for body in bodies if _wanted(point := FrontPoint.model_validate(body), target)]
    if max_latency_ms is not None:
        points = [point for point in points if true_value(point, "latency_ms", target) <= max_latency_ms]
    if min_accuracy is not None:
        points = [point for point in points if true_value(point, quality) >= min_accuracy]
    objectives = [quality, "latency_ms"]
    best = best_of(points, objectives)
    view = FrontView(
        search=None, objectives=objectives, total=len(best), points=thin(best, objectives, max_points)
    )
    return negotiated(view, format, accept, f"front-{supernet}")


def _wanted(point: FrontPoint, target: str | None) -> bool:
    return target is None or any(measured.target == target for measured in point.measured)
