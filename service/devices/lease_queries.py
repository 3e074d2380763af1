"""Every query on nets that devices measure, by name: orders, their items, leases, and the agents that take them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from service.db.queries import find, insert_new
from service.db.tables import Agent, Item, Job, Lease, Order, Target, Unsupported, now
from service.ids import new_id
from service.runtime.job_queries import FINAL

Json = dict[str, object]
LARGEST_TOGETHER = 64


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


def agents_of(session: Session, project: str, target: str) -> list[Agent]:
    """Every agent of a target, the one seen last first."""
    query = sa.select(Agent).where(Agent.project_id == project, Agent.target_id == target)
    return list(session.scalars(query.order_by(Agent.seen_at.desc(), Agent.id)))


# --- orders ----------------------------------------------------------------------------------------


def place_order(
    session: Session, project: str, job: str, step: str, files: Sequence[tuple[str, int]], **order: object
) -> Order:
    """Order measurements of nets ``(sha256, bytes)``, in this order; ordered twice, they are measured once."""
    insert_new(
        session,
        Order,
        [{"id": new_id("ord"), "project_id": project, "job_id": job, "step": step, **order}],
    )
    row = find(session, project, Order, job_id=job, step=step)
    assert row is not None
    items = [
        {
            "id": new_id("itm"),
            "project_id": project,
            "order_id": row.id,
            "target_id": row.target_id,
            "position": position,
            "file_sha256": sha256,
            "bytes": size,
            "state": "waiting",
            "attempts": 0,
        }
        for position, (sha256, size) in enumerate(files)
    ]
    insert_new(session, Item, items)
    return row


def order_of(session: Session, project: str, job: str, step: str) -> Order | None:
    """What a step of a job ordered, if it did."""
    return find(session, project, Order, job_id=job, step=step)


def items_of(session: Session, order: str) -> list[Item]:
    """The nets of an order, as they were ordered."""
    return list(session.scalars(sa.select(Item).where(Item.order_id == order).order_by(Item.position)))


def count_items(session: Session, order: str, *states: str) -> int:
    """How many nets of an order are in one of these states."""
    query = sa.select(sa.func.count()).where(Item.order_id == order, Item.state.in_(states))
    return session.scalar(query) or 0


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
    query = sa.select(Lease).where(
        Lease.project_id == project,
        Lease.target_id == target,
        Lease.state == "open",
        Lease.expires_at < now(),
    )
    overdue = list(session.scalars(query.with_for_update()))
    for lease in overdue:
        end_lease(session, lease, "expired")
    return len(overdue)


def end_lease(session: Session, lease: Lease, state: str) -> None:
    """Close a lease; what it has not measured waits again, with the agent that had it."""
    lease.state = state
    session.execute(
        sa.update(Item).where(Item.lease_id == lease.id, Item.state == "leased").values(state="waiting")
    )


def open_leases(session: Session, project: str, target: str) -> list[Lease]:
    """Leases of a target that are being worked on."""
    query = sa.select(Lease).where(
        Lease.project_id == project, Lease.target_id == target, Lease.state == "open"
    )
    return list(session.scalars(query.order_by(Lease.created_at)))


def next_items(session: Session, project: str, target: str, most: int) -> list[Item]:
    """The nets to lease next: of the oldest order that has some, of a job that is still running."""
    query = (
        sa.select(Item, Order)
        .join(Order, Order.id == Item.order_id)
        .join(Job, Job.id == Order.job_id)
        .where(
            Item.project_id == project,
            Item.target_id == target,
            Item.state == "waiting",
            Job.state.not_in((*FINAL, "cancelling")),
        )
        .order_by(Order.created_at, Order.id, Item.position)
        .limit(max(most, LARGEST_TOGETHER))
    )
    rows = list(session.execute(query))
    if not rows:
        return []
    first = rows[0][1]
    of_first = [item for item, order in rows if order.id == first.id]
    return of_first if first.together else of_first[:most]


def make_lease(session: Session, agent: Agent, items: Sequence[Item], seconds: float) -> Lease:
    """Give nets to an agent."""
    lease = Lease(
        id=new_id("lea"),
        project_id=agent.project_id,
        target_id=agent.target_id,
        agent_id=agent.id,
        order_id=items[0].order_id,
        seconds=seconds,
        expires_at=now() + timedelta(seconds=seconds),
    )
    session.add(lease)
    session.flush()
    for item in items:
        item.state, item.lease_id, item.attempts = "leased", lease.id, item.attempts + 1
    order = session.get_one(Order, lease.order_id)
    order.started_at = order.started_at or now()
    session.flush()
    return lease


def locked_items(session: Session, order: str, ids: Sequence[str]) -> dict[str, Item]:
    """Nets of an order by id, their rows held."""
    query = sa.select(Item).where(Item.order_id == order, Item.id.in_(list(ids))).with_for_update()
    rows = session.scalars(query, execution_options={"populate_existing": True})
    return {item.id: item for item in rows}


def count_unsupported(session: Session, project: str, target: str) -> int:
    """How many subnets the runtime of a target could not run."""
    query = sa.select(sa.func.count()).where(
        Unsupported.project_id == project, Unsupported.target_id == target
    )
    return session.scalar(query) or 0
