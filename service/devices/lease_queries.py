"""Every query on nets that devices measure, by name: the agents of a target, and the orders and leases of it."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from service.db.queries import find, insert_new
from service.db.tables import Agent, Item, Job, Lease, Order, Target, Unsupported, now
from service.ids import new_id
from service.runtime import parts

Json = dict[str, object]


# --- agents ----------------------------------------------------------------------------------------


def meet_agent(session: Session, project: str, target: str, name: str, description: Json) -> Agent:
    """The row of an agent that has just sent a request."""
    insert_new(
        session,
        Agent,
        [
            {
                "id": new_id("agt"),
                "project_id": project,
                "target_id": target,
                "name": name,
                "description": description,
                "seen_at": now(),
            }
        ],
    )
    agent = find(session, project, Agent, target_id=target, name=name)
    assert agent is not None
    agent.description, agent.seen_at = description, now()
    return agent


def agents_of(session: Session, project: str, targets: Sequence[str]) -> list[Agent]:
    """Every agent of these targets, the one seen last first."""
    query = sa.select(Agent).where(Agent.project_id == project, Agent.target_id.in_(targets))
    return list(session.scalars(query.order_by(Agent.seen_at.desc(), Agent.id)))


# --- orders ----------------------------------------------------------------------------------------


def open_orders(session: Session, project: str, target: str) -> list[Order]:
    """Orders of a target with nets that are not done."""
    undone = sa.select(Item.order_id).where(
        Item.project_id == project, Item.target_id == target, Item.state != "done"
    )
    return list(session.scalars(sa.select(Order).where(Order.id.in_(undone)).order_by(Order.created_at)))


def unfinished_orders(session: Session) -> list[tuple[Job, Order]]:
    """What every waiting job of every project waits for: its newest order."""
    query = (
        sa.select(Job, Order)
        .join(Order, Order.job_id == Job.id)
        .where(Job.waiting_since.is_not(None), Job.state == "running")
        .order_by(Order.created_at, Order.id)
    )
    newest = {job.id: (job, order) for job, order in session.execute(query)}
    return list(newest.values())


# --- leases ----------------------------------------------------------------------------------------


def locked_target(session: Session, id: str) -> Target:
    """A target, its row held: what is leased of it is decided one after another."""
    query = sa.select(Target).where(Target.id == id).with_for_update()
    return session.scalars(query, execution_options={"populate_existing": True}).one()


def expire_leases(session: Session, project: str, target: str) -> int:
    """Put the nets of overdue leases back; returns how many leases were overdue."""
    return parts.end_leases(
        session, Lease.project_id == project, Lease.target_id == target, Lease.expires_at < now()
    )


def open_leases(session: Session, project: str, target: str | None) -> list[Lease]:
    """Leases of a target that are being worked on."""
    query = sa.select(Lease).where(
        Lease.project_id == project, Lease.target_id == target, Lease.state == "open"
    )
    return list(session.scalars(query.order_by(Lease.created_at)))


def next_items(session: Session, project: str, target: str, most: int) -> list[Item]:
    """The nets to lease next, see :func:`service.runtime.parts.next_items`."""
    return parts.next_items(session, most, Item.project_id == project, Item.target_id == target)


def count_unsupported(session: Session, project: str, targets: Sequence[str]) -> dict[str, int]:
    """How many subnets the runtime of a target could not run, by target; of those with any."""
    query = sa.select(Unsupported.target_id, sa.func.count().label("subnets")).where(
        Unsupported.project_id == project, Unsupported.target_id.in_(targets)
    )
    return {row.target_id: row.subnets for row in session.execute(query.group_by(Unsupported.target_id))}
