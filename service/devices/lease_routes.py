"""Work for the agents of devices: leases of nets, signs of life, results."""

from __future__ import annotations

from fastapi import APIRouter, Response

from service.devices import lease_queries, leasing, results
from service.devices.lease_schemas import (
    LeaseCreate,
    LeaseRenew,
    LeaseView,
    RenewView,
    ResultsCreate,
    ResultsView,
)
from service.devices.staleness import mark, protocol_changed
from service.errors import NotFoundError, StaleTargetError
from service.http.deps import App, Project, Sender

router = APIRouter(prefix="/v1/measurement-leases", tags=["targets"])


@router.post("", status_code=201, response_model=LeaseView, responses={204: {"description": "Nothing to do"}})
def create_lease(app: App, sender: Sender, body: LeaseCreate) -> LeaseView | Response:
    """An agent takes nets to measure: all of one job, at most ``max_items``; 204 when there is nothing to do."""
    project = sender.project
    with app.database.write() as session:
        target = leasing.target_of_agent(session, project, body.target)
        if sender.target not in (None, target.id):
            raise NotFoundError("target", body.target)
        stale = leasing.attach(target, body.description) or protocol_changed(session, target.id)
        if stale is None:
            description = body.description.model_dump()
            agent = lease_queries.meet_agent(session, project, target.id, body.agent, description)
            lease = leasing.take(session, target, agent, body.max_items, app.settings.lease_s)
            return leasing.view(session, lease, target) if lease else Response(status_code=204)
        mark(target, stale)
    raise StaleTargetError(
        f"target {target.name!r} cannot go on, {stale}; `netwright targets refresh {target.name}` starts again "
        "with what is there now"
    )


@router.post("/{id}:renew")
def renew_lease(app: App, project: Project, id: str, body: LeaseRenew) -> RenewView:
    """A sign of life, with how far the agent is; 409 when nothing of the lease is its own any more."""
    with app.database.write() as session:
        return leasing.renew(session, *leasing.held(session, project, id), body)


@router.post("/{id}:release", status_code=204)
def release_lease(app: App, project: Project, id: str) -> None:
    """An agent that ends gives its nets back at once."""
    with app.database.write() as session:
        leasing.release(session, *leasing.held(session, project, id))


@router.post("/{id}/results")
def create_results(app: App, project: Project, id: str, body: ResultsCreate) -> ResultsView:
    """Results of an agent; they may be sent twice. Rows that cannot be true are refused one by one."""
    with app.database.write() as session:
        return results.record(session, *leasing.held(session, project, id), body)
