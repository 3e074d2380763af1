"""Searches, their fronts, and the quick look before one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from search import ALGORITHMS
from service.checkpoints import family_of
from service.datasets import require_data
from service.db import job_queries, queries
from service.db.tables import Search, Supernet
from service.deps import App, Page, Project
from service.errors import InvalidError
from service.ids import new_id
from service.predictor_staleness import doubts
from service.problems import limited_space, load_models, make_plans, profile_parts
from service.profiling import look
from service.schemas import common
from service.schemas.searches import ProfileCreate, ProfileView, SearchCreate, SearchView
from service.views import accepted, search_view

router = APIRouter(prefix="/v1", tags=["searches"])


@router.post("/searches:profile")
def profile_search(app: App, project: Project, body: ProfileCreate) -> ProfileView:
    """Smallest, centroid and largest of every metric, and whether the constraints can be met; answers at once."""
    with app.database.read() as session:
        supernet, limits, found, missing = profile_parts(session, project, body)
        family = family_of(supernet)
        space = limited_space(family, body.restrict)
        versions = {key: row.version or "" for key, row in found.items()}
        models = load_models(versions, app.store.read, family, supernet.manifest)
    return look(family, space, models, limits, body.confidence, missing, body.seed)


@router.get("/searches")
def list_searches(
    app: App, project: Project, page: Page, supernet: Annotated[str | None, Query()] = None
) -> common.Page[SearchView]:
    """Searches, newest first."""
    with app.database.read() as session:
        rows, token = queries.page(
            session, project, Search, size=page.size, token=page.token, supernet_id=supernet
        )
        return common.Page(items=[search_view(session, row) for row in rows], next_page_token=token)


@router.post("/searches", status_code=202)
def create_search(app: App, project: Project, body: SearchCreate, response: Response) -> common.Accepted:
    """Job: search for the best subnets under hard limits, measure them, and store the front."""
    usable = [name for name in ALGORITHMS if not ALGORITHMS.load(name).costly]  # it searches on predictors
    if body.algorithm is not None and body.algorithm not in usable:
        raise InvalidError("algorithm", body.algorithm, usable)
    with app.database.read() as session:
        plans, found = make_plans(session, project, body)
        doubtful = doubts(session, found.values())
        data = queries.get(session, project, Supernet, body.supernet).manifest["data"]["name"]
        require_data("supernet", data, app.settings)
        session.expunge_all()
    with app.database.write() as session:
        row = Search(
            id=new_id("sea"), project_id=project, supernet_id=body.supernet, spec=body.model_dump(mode="json")
        )
        params = {
            "search": row.id,
            "plans": plans,
            "doubts": doubtful,
            "predictors": [
                {
                    "metric": metric,
                    "target": target,
                    "id": model.id,
                    "kind": model.kind,
                    "version": model.version,
                }
                for (metric, target), model in found.items()
            ],
        }
        job = job_queries.create_job(session, project, "search", params, ("search", row.id))
        row.job_id = job.id
        session.add(row)
        app.queue.enqueue(session, job)
        response.headers["Location"] = f"/v1/jobs/{job.id}"
        return accepted(job, row.id)


@router.get("/searches/{id}")
def get_search(app: App, project: Project, id: str) -> SearchView:
    """One search: its state and, apart from that, whether anything met the limits."""
    with app.database.read() as session:
        return search_view(session, queries.get(session, project, Search, id))
