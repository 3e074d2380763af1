"""Searches, their fronts, and the quick look before one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlalchemy.orm import Session

from search import ALGORITHMS
from search.algorithm import make_algorithm
from service.db import queries
from service.db.removal import remove_search
from service.db.tables import Job, Predictor, Search, SearchLabel, Supernet, now
from service.errors import ConflictError, InvalidError
from service.http import schemas as common
from service.http.deps import App, Archived, Page, Project, Services
from service.http.jobs.schemas import JobState
from service.http.jobs.views import accepted, state_of
from service.ids import new_id
from service.predictors.queries import doubts
from service.problems import Action
from service.runtime import job_queries
from service.runtime.job_queries import of_state
from service.search.fronts.best import best_of_search, restore
from service.search.fronts.evaluations import evaluations_of
from service.search.request.labels import add_labels, with_labels
from service.search.request.plan import (
    Key,
    Plan,
    SearchParams,
    limited_space,
    load_models,
    make_plans,
    profile_parts,
    with_ids,
)
from service.search.request.profiling import look
from service.search.request.queries import count_points, target_of
from service.search.request.schemas import (
    Budget,
    ElsewhereUse,
    EvaluationsView,
    FrontPoint,
    HistoryPoint,
    PredictorEntry,
    ProfileCreate,
    ProfileView,
    Provenance,
    ReferencePoint,
    SearchCreate,
    SearchExtend,
    SearchSpec,
    SearchView,
    Spending,
    Spent,
)
from service.search.request.spending import spending
from service.supernets.checkpoints import family_of, manifest_of, require_network
from service.supernets.datasets import require_images

router = APIRouter(prefix="/v1", tags=["searches"])
MAX_EVALUATED = 2000


@router.post("/searches:profile")
def profile_search(app: App, project: Project, body: ProfileCreate) -> ProfileView:
    """Smallest, centroid and largest of every metric, and whether the constraints can be met; answers at once."""
    with app.database.read() as session:
        body = with_ids(session, project, body)
        supernet, limits, found, missing = profile_parts(session, project, body)
        family = family_of(supernet)
        space = limited_space(family, body.restrict)
        versions = {key: row.version or "" for key, row in found.items()}
        models = load_models(versions, app.store.read, family, manifest_of(supernet))
    return look(family, space, models, limits, body.confidence, missing, body.seed)


@router.get("/searches")
def list_searches(
    app: App,
    project: Project,
    page: Page,
    supernet: Annotated[str | None, Query()] = None,
    state: Annotated[JobState | None, Query()] = None,
    label: Annotated[list[str] | None, Query(description="NAME=VALUE; repeated: all of them")] = None,
    archived: Archived = False,
) -> common.Page[SearchView]:
    """Searches, newest first."""
    labels = {_label(text) for text in label or []}
    where = [] if state is None else [of_state(Search.job_id, state)]
    with app.database.read() as session:
        where += with_labels(session, project, labels) if labels else []
        supernet = queries.filter_id(session, project, Supernet, supernet, "supernet")
        rows, token = queries.page(
            session,
            project,
            Search,
            size=page.size,
            token=page.token,
            where=where,
            through=SearchLabel if labels else None,
            archived=archived,
            supernet_id=supernet,
        )
        return common.Page(items=search_views(session, project, rows), next_page_token=token)


def _label(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found or not name:
        raise InvalidError("label", text, "NAME=VALUE, e.g. team=vision")
    return name, value


@router.post("/searches", status_code=202)
def create_search(app: App, project: Project, body: SearchCreate, response: Response) -> common.Accepted:
    """Job: search for the best subnets under hard limits, measure them, and store the front."""
    with app.database.read() as session:
        body = with_ids(session, project, body)
        supernet = queries.get(session, project, Supernet, body.supernet)
        require_network(supernet)
        budget = spending(supernet, body.budget, body.first_images)
        spec = SearchSpec.model_validate({**body.model_dump(), "budget": budget.model_dump()})
        plans, found = _checked(app, session, project, spec)
        doubts = _doubts(session, spec, found.values())
    return _started(app, project, spec, plans, _starting(found), doubts, None, body.priority, response)


@router.delete("/searches/{id}")
def delete_search(app: App, project: Project, id: str) -> common.Removed:
    """Delete a search and its front; one that another search extends is archived. Measurements are kept."""
    with app.database.write() as session:
        row = queries.get(session, project, Search, id)
        supernet = session.get_one(Supernet, row.supernet_id)
        lost = best_of_search(session, id)
        references = remove_search(session, row)
        restore(session, supernet, [] if references else lost)
        return common.Removed.of(id, references)


@router.post("/searches/{id}:extend", status_code=202)
def extend_search(
    app: App, project: Project, id: str, body: SearchExtend, response: Response
) -> common.Accepted:
    """Job: go on from a search that has ended, with more budget or other limits; nothing is evaluated again.

    Makes a new search that names this one in ``extends``; this one stays as it is.
    """
    with app.database.read() as session:
        row = queries.get(session, project, Search, id)
        _require_ended(session, row)
        supernet = queries.get(session, project, Supernet, row.supernet_id)
        spec = with_ids(session, project, _extended(row, supernet, body))
        plans, found = _checked(app, session, project, spec)
        after = Provenance.model_validate(row.provenance).predictors_after if row.provenance else []
        last = {entry.key: entry for entry in after}
        # The search left its predictors fitted to more rows than the stored ones.
        predictors = [last.get(entry.key, entry) for entry in _starting(found)]
        stored = [model for key, model in found.items() if key not in last]
        doubts = _doubts(session, spec, stored)
    return _started(app, project, spec, plans, predictors, doubts, id, body.priority, response)


def _require_ended(session: Session, row: Search) -> None:
    job = session.get(Job, row.job_id)
    if job is not None and job.state != "succeeded":
        again = Action(method="POST", path=f"/v1/jobs/{job.id}:resume", body={})
        raise ConflictError(
            f"search {row.id} is {job.state}; only one that has succeeded can be extended",
            actions=[again] if job.state in ("failed", "cancelled") else [],
        )


def _extended(row: Search, supernet: Supernet, body: SearchExtend) -> SearchSpec:
    """The request of the search, with the changes."""
    changes = body.model_dump(mode="json", exclude={"evaluations", "images", "seconds"}, exclude_none=True)
    if (
        not body.evaluations
        and not body.images
        and not {"constraints", "objectives", "confidence"} & set(changes)
    ):
        raise InvalidError(
            "evaluations", 0, ">= 1, or images, or other constraints, objectives or confidence",
            "there is nothing to do: give evaluations or images to add, or other constraints, objectives or confidence",
        )  # fmt: skip
    changes.setdefault("seed", (row.spec["seed"] + 1) % 2**31)
    budget = Spending(evaluations=body.evaluations, images=body.images, seconds=body.seconds)
    if body.images is not None:
        asked = Budget(evaluations=body.evaluations or None, images=body.images, seconds=body.seconds)
        budget = spending(supernet, asked, row.spec.get("first_images"))
    changes["budget"] = budget.model_dump()
    return SearchSpec.model_validate({**row.spec, "predictors": [], **changes})


def _checked(
    app: Services, session: Session, project: str, body: SearchSpec
) -> tuple[list[Plan], dict[Key, Predictor]]:
    """Plans and predictors of a search that can be done."""
    if body.algorithm not in ALGORITHMS:
        raise InvalidError("algorithm", body.algorithm, list(ALGORITHMS))
    plans, found = make_plans(session, project, body)
    supernet = queries.get(session, project, Supernet, body.supernet)
    space = limited_space(family_of(supernet), body.restrict)
    for plan in plans:
        make_algorithm(body.algorithm, space, len(plan.objectives), 0, constrained=bool(plan.constraints))
    require_images(supernet.name, supernet.data, app.settings)
    return plans, found


def _doubts(session: Session, body: SearchSpec, used: Iterable[Predictor]) -> list[str]:
    return doubts(session, used, fitted_first=body.budget.evaluations > 0)


def _starting(found: Mapping[Key, Predictor]) -> list[PredictorEntry]:
    return [
        PredictorEntry(
            metric=metric, target=target, id=model.id, kind=model.kind, version=model.version or ""
        )
        for (metric, target), model in found.items()
    ]


def _started(
    app: Services,
    project: str,
    body: SearchSpec,
    plans: list[Plan],
    predictors: list[PredictorEntry],
    doubts: list[str],
    extends: str | None,
    priority: int,
    response: Response,
) -> common.Accepted:
    """The row of a search and its job, queued."""
    with app.database.write() as session:
        row = Search(
            id=new_id("sea"),
            project_id=project,
            created_at=now(),
            supernet_id=body.supernet,
            spec=body.model_dump(mode="json"),
            extends_id=extends,
        )
        params = SearchParams(search=row.id, plans=plans, predictors=predictors, doubts=doubts)
        job = job_queries.create_job(
            session,
            project,
            "search",
            params,
            ("search", row.id),
            short=body.budget.evaluations == 0,
            priority=priority,
        )
        row.job_id = job.id
        session.add(row)
        add_labels(session, row, body.labels)
        response.headers["Location"] = f"/v1/jobs/{job.id}"
        return accepted(job, row.id)


@router.get("/searches/{id}")
def get_search(app: App, project: Project, id: str) -> SearchView:
    """One search: its state and, apart from that, whether anything met the limits."""
    with app.database.read() as session:
        return search_views(session, project, [queries.get(session, project, Search, id)])[0]


@router.get("/searches/{id}/evaluations")
def list_evaluated(
    app: App,
    project: Project,
    id: str,
    target: Annotated[str | None, Query()] = None,
    max_points: Annotated[int, Query(ge=1, le=MAX_EVALUATED)] = MAX_EVALUATED,
) -> EvaluationsView:
    """The evaluated subnets behind a front, thinned; while the search runs, its front so far."""
    with app.database.read() as session:
        row = queries.get(session, project, Search, id)
        target = target_of(session, project, row, target)
        return evaluations_of(session, project, row, target, max_points)


def _doubts_at_start(job: Job | None) -> list[str]:
    """What was wrong with its predictors when a search was requested."""
    return list(job.params.get("doubts", [])) if job is not None else []


def _scoped(entry: dict[str, object]) -> dict[str, object]:
    """A stored row of one front, with the target whose front it is, if it is of one."""
    scope = entry["scope"]
    return {
        "target": None if scope == "shared" else scope,
        **{k: v for k, v in entry.items() if k != "scope"},
    }


def search_views(session: Session, project: str, rows: Sequence[Search]) -> list[SearchView]:
    """Searches: their requests, the states of their jobs, and their results."""
    jobs = queries.by_id(session, project, Job, [row.job_id for row in rows if row.job_id])
    points = count_points(session, project, [row.id for row in rows])
    return [_view(row, jobs.get(row.job_id or ""), points.get(row.id, 0)) for row in rows]


def _view(row: Search, job: Job | None, points: int) -> SearchView:
    spec = row.spec
    return SearchView(
        id=row.id,
        created_at=row.created_at,
        archived_at=row.archived_at,
        supernet=row.supernet_id,
        state=state_of(job, row.finished_at is not None),
        feasible=row.feasible,
        nearest=FrontPoint.model_validate(row.nearest) if row.nearest else None,
        extends=row.extends_id,
        evaluations=Spent(done=row.evaluations, budget=spec["budget"]["evaluations"], reused=row.reused),
        reference_point=[ReferencePoint(**_scoped(entry)) for entry in row.reference],
        history=[HistoryPoint(**_scoped(entry)) for entry in row.history],
        points=points,
        warnings=[*_doubts_at_start(job), *row.warnings],
        provenance=row.provenance,
        elsewhere=[ElsewhereUse.model_validate(each) for each in row.provenance.get("elsewhere", [])],
        job=row.job_id or "",
        finished_at=row.finished_at,
        **{key: value for key, value in spec.items() if key not in ("supernet", "predictors", "elsewhere")},
    )
