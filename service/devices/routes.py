"""Hardware targets and what is measured on them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlalchemy.orm import Session

from service.db import queries
from service.db.counts import forget_counts
from service.db.removal import remove_target
from service.db.tables import Target, now
from service.devices import hardware, lease_queries
from service.devices.leasing import store_references
from service.devices.schemas import AgentView, TargetCreate, TargetView
from service.devices.staleness import stale_reason
from service.http import schemas as common
from service.http.deps import App, Archived, Page, Project, Sender
from service.settings import Settings

router = APIRouter(tags=["targets"])


@router.get("/v1/targets")
def list_targets(
    app: App,
    sender: Sender,
    page: Page,
    name: Annotated[str | None, Query()] = None,
    kind: Annotated[str | None, Query()] = None,
    archived: Archived = False,
) -> common.Page[TargetView]:
    """Hardware targets, newest first."""
    with app.database.read() as session:
        rows, token = queries.page(
            session,
            sender.project,
            Target,
            size=page.size,
            token=page.token,
            archived=archived,
            name=name,
            kind=kind,
            id=sender.target,
        )
        return common.Page(items=target_views(session, rows, app.settings), next_page_token=token)


@router.post(
    "/v1/targets", status_code=201, responses={200: {"model": TargetView, "description": "It exists already"}}
)
def create_target(app: App, project: Project, body: TargetCreate, response: Response) -> TargetView:
    """Register a hardware target; the same device, runtime and settings under the same name are one target."""
    described = hardware.describe(body.kind, body.settings)
    with app.database.write() as session:
        row, new = hardware.register(session, project, body.name or body.kind, described)
        if not new:
            response.status_code = 200
        elif hardware.is_remote(body.kind):
            store_references(session, project, app.store)
        response.headers["Location"] = f"/v1/targets/{row.id}"
        return target_views(session, [row], app.settings)[0]


@router.get("/v1/targets/{id}")
def get_target(app: App, project: Project, id: str) -> TargetView:
    """One target."""
    with app.database.read() as session:
        return target_views(session, [queries.get(session, project, Target, id)], app.settings)[0]


@router.delete("/v1/targets/{id}")
def delete_target(app: App, project: Project, id: str) -> common.Removed:
    """Delete a target; one with measurements, predictors or searches is archived, and its name is free again."""
    with app.database.write() as session:
        row = queries.get(session, project, Target, id)
        return common.Removed.of(row.id, remove_target(session, row))


@router.post("/v1/targets/{id}:refresh")
def refresh_target(app: App, project: Project, id: str) -> TargetView:
    """Start again with the current runtime: existing measurements become stale.

    The device must be the same; the next run calibrates.
    """
    with app.database.write() as session:
        row = queries.get(session, project, Target, id)
        hardware.refresh(row)
        forget_counts(session, project, f"target:{row.id}")
        return target_views(session, [row], app.settings)[0]


def target_views(session: Session, rows: Sequence[Target], settings: Settings) -> list[TargetView]:
    """Targets of one project, who measures for them, and whether what was measured still holds."""
    if not rows:
        return []
    project, ids = rows[0].project_id, [row.id for row in rows]
    recent = now() - timedelta(seconds=settings.lease_s)
    agents: dict[str, list[AgentView]] = {id: [] for id in ids}
    for agent in lease_queries.agents_of(session, project, ids):
        connected = agent.seen_at >= recent
        agents[agent.target_id].append(AgentView(name=agent.name, seen_at=agent.seen_at, connected=connected))
    unsupported = lease_queries.count_unsupported(session, project, ids)
    return [_view(row, agents[row.id], unsupported.get(row.id, 0)) for row in rows]


def _view(row: Target, agents: list[AgentView], unsupported: int) -> TargetView:
    return TargetView(
        id=row.id,
        created_at=row.created_at,
        name=row.name,
        kind=row.kind,
        settings=row.settings,
        description=row.description,
        metrics=row.metrics,
        archived_at=row.archived_at,
        measurable=hardware.is_measurable(row.kind),
        measured_by=hardware.measured_by(row.kind),
        calibrations=row.calibrations,
        stale=stale_reason(row),
        valid_from=row.valid_from,
        drifts=row.drifts or [],
        agents=agents,
        unsupported=unsupported,
    )
