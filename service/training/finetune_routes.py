"""Fine-tuning subnets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlalchemy.orm import Session

from service.db import queries
from service.db.tables import FineTune, Job, Subnet, Supernet
from service.http import schemas as common
from service.http.deps import App, Page, Project
from service.http.jobs.views import accepted, state_of
from service.http.schemas import Accepted
from service.ids import new_id
from service.runtime import job_queries
from service.supernets.checkpoints import require_network
from service.training.finetune_plan import plan_request
from service.training.finetune_schemas import FineTuneCreate, FineTuneParams, FineTuneView

router = APIRouter(prefix="/v1", tags=["finetunes"])


@router.post("/subnets/{id}/finetunes", status_code=202)
def create_finetune(
    app: App, project: Project, id: str, body: FineTuneCreate, response: Response
) -> Accepted:
    """Job: train a subnet further on your own images; an export of it may then name the fine-tune."""
    with app.database.read() as session:
        subnet = queries.get(session, project, Subnet, id)
        supernet = queries.get(session, project, Supernet, subnet.supernet_id)
        require_network(supernet)
        session.expunge_all()
    planned = plan_request(app.settings, supernet, subnet.arch, body)
    with app.database.write() as session:
        row = FineTune(
            id=new_id("fin"),
            project_id=project,
            subnet_id=id,
            data=planned.data,
            recipe=planned.recipe.as_json(),
            seed=body.seed,
        )
        params = FineTuneParams(finetune=row.id)
        job = job_queries.create_job(
            session, project, "finetune", params, ("finetune", row.id), priority=body.priority
        )
        row.job_id = job.id
        session.add(row)
        response.headers["Location"] = f"/v1/jobs/{job.id}"
        return accepted(job, row.id)


@router.get("/finetunes")
def list_finetunes(
    app: App,
    project: Project,
    page: Page,
    subnet: Annotated[str | None, Query(description="Id of a subnet")] = None,
) -> common.Page[FineTuneView]:
    """Fine-tunes, newest first."""
    with app.database.read() as session:
        subnet = queries.filter_id(session, project, Subnet, subnet, "subnet")
        rows, token = queries.page(
            session, project, FineTune, size=page.size, token=page.token, subnet_id=subnet
        )
        return common.Page(items=_views(session, project, rows), next_page_token=token)


@router.get("/finetunes/{id}")
def get_finetune(app: App, project: Project, id: str) -> FineTuneView:
    """One fine-tune, with the quality before and after."""
    with app.database.read() as session:
        return _views(session, project, [queries.get(session, project, FineTune, id)])[0]


def _views(session: Session, project: str, rows: Sequence[FineTune]) -> list[FineTuneView]:
    jobs = queries.by_id(session, project, Job, [row.job_id for row in rows if row.job_id])
    return [_view(row, jobs.get(row.job_id or "")) for row in rows]


def _view(row: FineTune, job: Job | None) -> FineTuneView:
    record = row.record or {}
    return FineTuneView(
        id=row.id,
        created_at=row.created_at,
        subnet=row.subnet_id,
        data=row.data,
        recipe=row.recipe,
        seed=row.seed,
        state=state_of(job, row.sha256 is not None),
        change=record.get("change"),
        classifier=record.get("classifier"),
        classes=record.get("classes"),
        stage=record.get("stage"),
        sha256=row.sha256,
        bytes=row.bytes,
        job=row.job_id,
    )
