"""Fronts: of one search, or the best of everything stored; whole, thinned, or picked from."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from search.constraints import Constraint
from search.errors import ProblemError
from service.db import queries
from service.db.tables import Search, Supernet, Target
from service.errors import InvalidError
from service.http.deps import App, Project
from service.search.fronts.best import best_points
from service.search.fronts.original import original_of
from service.search.fronts.views import as_csv, as_parquet, pick, thin, with_noise, within
from service.search.request.queries import points_of_search, target_names, target_of
from service.search.request.schemas import FrontPoint, FrontView
from supernets.metrics import LATENCY, METRICS, Metric

router = APIRouter(prefix="/v1", tags=["fronts"])
MEDIA: dict[Literal["csv", "parquet"], str] = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}
Format = Literal["json", "csv", "parquet"]
MAX_POINTS = 2000


def _limit_parameter(side: str, metric: Metric) -> inspect.Parameter:
    """The query parameter ``max_…`` or ``min_…`` of a metric, within its bounds."""
    query = Query(
        gt=metric.minimum if side == "max" else None,
        ge=metric.minimum if side == "min" else None,
        le=metric.maximum,
        allow_inf_nan=False,
        description=f"{'Largest' if side == 'max' else 'Smallest'} allowed {metric.name} ({metric.unit})",
    )
    return inspect.Parameter(
        f"{side}_{metric.name}",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[float | None, query],
    )


LIMITS = {f"{side}_{name}": (side, name) for name in METRICS for side in ("max", "min")}


def front_limits(request: Request, **limits: float | None) -> list[Constraint]:
    """Limits on the points that are returned, by their true values; a limit that is misspelt is refused."""
    for name, value in request.query_params.items():
        if name.startswith(("max_", "min_")) and name not in (*LIMITS, "max_points"):
            raise InvalidError(name, value, list(LIMITS))
    sides: dict[str, dict[str, float]] = {}
    for parameter, limit in limits.items():
        if limit is not None:
            side, metric = LIMITS[parameter]
            sides.setdefault(metric, {})[side] = limit
    return [Constraint(metric, min=ends.get("min"), max=ends.get("max")) for metric, ends in sides.items()]


# FastAPI reads the query parameters from the signature: two of each metric.
vars(front_limits)["__signature__"] = inspect.Signature(
    [
        inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Request),
        *(_limit_parameter(side, METRICS[name]) for side, name in LIMITS.values()),
    ]
)


@dataclass(frozen=True)
class FrontQuery:
    """Which points of a front to return, and in what format."""

    how: str | None
    k: int | None
    by: str | None
    limits: list[Constraint]
    max_points: int
    format: Format

    @property
    def most(self) -> int | None:
        """How many points the answer needs; None: all, as a pick looks at all of them."""
        return self.max_points if self.how is None else None

    def answer(
        self,
        view: FrontView,
        points: list[FrontPoint],
        target: str | None,
        name: str,
        names: Mapping[str, str],
        total: int | None = None,
    ) -> Response | FrontView:
        """The front in the requested format; all points within the limits, thinned, or a pick.

        ``total`` is given where ``points`` were thinned before.
        """
        inside = within(points, self.limits, target) if self.limits else points
        view.pick, view.total = self.how, len(inside) if total is None else total
        thinned = thin(inside, view.objectives, self.max_points)
        with_neighbours, view.noise = with_noise(thinned)
        if self.how is None:
            view.points = with_neighbours
        else:
            try:
                view.points, view.note = pick(
                    points,
                    view.objectives,
                    self.how,
                    self.k,
                    limits=self.limits,
                    by=self.by,
                    target=target,
                    apart=view.search is not None,
                )
            except ProblemError as error:
                raise InvalidError(error.field or "pick", self.by, "see the message", str(error)) from error
        if self.format == "json":
            return view
        content = (as_csv if self.format == "csv" else as_parquet)(view.points, names)
        headers = {"Content-Disposition": f'attachment; filename="{name}.{self.format}"'}
        return Response(content, media_type=MEDIA[self.format], headers=headers)


def front_query(
    limits: Annotated[list[Constraint], Depends(front_limits)],
    how: Annotated[
        Literal["knee", "best", "buckets", "spread"] | None,
        Query(alias="pick", description="Each picked point has a reason"),
    ] = None,
    k: Annotated[
        int | None, Query(ge=1, le=MAX_POINTS, description="How many to pick: by default 1, or 4 buckets")
    ] = None,
    by: Annotated[str | None, Query(description="Metric whose range the buckets divide")] = None,
    max_points: Annotated[int, Query(ge=1, le=MAX_POINTS)] = MAX_POINTS,
    format: Annotated[Format | None, Query()] = None,
    accept: Annotated[str, Header()] = "application/json",
) -> FrontQuery:
    """Parameters of every route that returns a front; ``format`` comes before the Accept header."""
    accepted: Format = next((key for key, media in MEDIA.items() if media in accept), "json")
    return FrontQuery(how, k, by, limits, max_points, format or accepted)


Selected = Annotated[FrontQuery, Depends(front_query)]
AS_TABLE: dict[int | str, dict[str, object]] = {
    200: {
        "content": {
            MEDIA["csv"]: {"schema": {"type": "string"}},
            MEDIA["parquet"]: {"schema": {"type": "string", "format": "binary"}},
        }
    }
}


@router.get("/searches/{id}/front", response_model=FrontView, responses=AS_TABLE)
def get_front(
    app: App, project: Project, id: str, query: Selected, target: Annotated[str | None, Query()] = None
) -> Response | FrontView:
    """The front of a search, best first objective first; all of it, thinned, or picked from."""
    with app.database.read() as session:
        row = queries.get(session, project, Search, id)
        target = target_of(session, project, row, target)
        objectives: list[str] = row.spec["objectives"]
        points = [FrontPoint.model_validate(body) for body in points_of_search(session, project, id)]
        names = target_names(session, project)
        whole = session.get_one(Supernet, row.supernet_id)
        original = original_of(session, whole, row.spec["targets"] if target is None else [target])
    mine = [point for point in points if target is None or point.target in (None, target)]
    view = FrontView(search=id, objectives=objectives, total=0, points=[], original=original)
    return query.answer(view, mine, target, f"front-{id}", names)


@router.get("/fronts", response_model=FrontView, responses=AS_TABLE)
def get_best_front(
    app: App,
    project: Project,
    supernet: Annotated[str, Query()],
    query: Selected,
    target: Annotated[str | None, Query()] = None,
) -> Response | FrontView:
    """The non-dominated points over all searches of a supernet (and target), by quality and latency."""
    with app.database.snapshot() as session:
        row = queries.given(session, project, Supernet, supernet, "supernet")
        if target is not None:
            target = queries.given(session, project, Target, target, "target").id
        names = target_names(session, project)
        quality: str = row.quality
        best, total = best_points(session, row, target, query.limits, query.most)
        # A reason may name a point that limits exclude.
        whole = best_points(session, row, target, [])[0] if query.how is not None and query.limits else []
        original = original_of(session, row, None if target is None else [target])
    objectives = [quality, LATENCY]
    inside = {point.subnet for point in best}
    others = [point for point in whole if point.subnet not in inside]
    view = FrontView(search=None, objectives=objectives, total=0, points=[], original=original)
    return query.answer(view, [*best, *others], target, f"front-{row.id}", names, total)
