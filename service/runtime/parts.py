"""Parts of a step of a job that others do: nets that agents measure, and tasks that idle workers execute.

An order is the parts of one step, an item is one part, and a lease is a claim of some of them, by the agent of a
target or by a worker. Every claim, its end and the return of what was lost go through these functions. What differs
is who notices a loss: a worker's leases end when another worker takes over from it, an agent's when they expire.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from service.db.queries import find, insert_new
from service.db.tables import Item, Job, Lease, Order, Project, now
from service.ids import new_id
from service.runtime.job_queries import FINAL
from service.runtime.queue import turns

LARGEST_TOGETHER = 64


# --- orders ----------------------------------------------------------------------------------------


def place_order(
    session: Session,
    project: str,
    job: str,
    step: str,
    items: Sequence[Mapping[str, object]],
    **order: object,
) -> Order:
    """Order parts, in this order; ordered twice, they are done once."""
    insert_new(
        session,
        Order,
        [{"id": new_id("ord"), "project_id": project, "job_id": job, "step": step, **order}],
    )
    row = order_of(session, project, job, step)
    assert row is not None
    common = {"project_id": project, "order_id": row.id, "target_id": row.target_id}
    rows = [
        {"id": new_id("itm"), **common, "position": position, "state": "waiting", "attempts": 0, **item}
        for position, item in enumerate(items)
    ]
    insert_new(session, Item, rows)
    return row


def order_of(session: Session, project: str, job: str, step: str) -> Order | None:
    """What a step of a job ordered, if it did."""
    return find(session, project, Order, job_id=job, step=step)


def remove_order(session: Session, order: str) -> None:
    """Delete an order whose results its step has recorded."""
    session.execute(sa.update(Item).where(Item.order_id == order).values(lease_id=None))
    for table in (Lease, Item):
        session.execute(sa.delete(table).where(table.order_id == order))
    session.execute(sa.delete(Order).where(Order.id == order))


def items_of(session: Session, order: str) -> list[Item]:
    """The parts of an order, as they were ordered."""
    return list(session.scalars(sa.select(Item).where(Item.order_id == order).order_by(Item.position)))


def count_items(session: Session, order: str, *states: str) -> int:
    """How many parts of an order are in one of these states."""
    query = sa.select(sa.func.count()).where(Item.order_id == order, Item.state.in_(states))
    return session.scalar(query) or 0


# --- claims ----------------------------------------------------------------------------------------


def next_items(session: Session, most: int, *where: sa.ColumnElement[bool]) -> list[Item]:
    """The parts to claim next: of one order, of a job that has not ended; at most ``most``, or all ``together``.

    The project whose turn it is, and of its jobs higher priority first, as in the queue; then the oldest order.
    """
    query = (
        sa.select(Item, Order)
        .join(Order, Order.id == Item.order_id)
        .join(Job, Job.id == Order.job_id)
        .join(Project, Project.id == Job.project_id)
        .where(Item.state == "waiting", Job.state.not_in((*FINAL, "cancelling")), *where)
        .order_by(*turns(session), Job.priority.desc(), Order.created_at, Order.id, Item.position)
        .limit(max(most, LARGEST_TOGETHER))
    )
    rows = list(session.execute(query))
    if not rows:
        return []
    first = rows[0][1]
    of_first = [item for item, order in rows if order.id == first.id]
    return of_first if first.together else of_first[:most]


def make_lease(session: Session, items: Sequence[Item], seconds: float, **holder: Any) -> Lease:
    """Give parts of one order to ``agent_id`` or ``worker_id``."""
    order = session.get_one(Order, items[0].order_id)
    lease = Lease(
        id=new_id("lea"),
        project_id=order.project_id,
        target_id=order.target_id,
        order_id=order.id,
        seconds=seconds,
        expires_at=now() + timedelta(seconds=seconds),
        **holder,
    )
    session.add(lease)
    session.flush()
    for item in items:
        item.state, item.lease_id, item.attempts = "leased", lease.id, item.attempts + 1
    order.started_at = order.started_at or now()
    session.flush()
    return lease


def end_lease(session: Session, lease: Lease, state: str) -> None:
    """Close a lease; what it has not done waits again, with the one that had it."""
    lease.state = state
    session.execute(
        sa.update(Item).where(Item.lease_id == lease.id, Item.state == "leased").values(state="waiting")
    )


def end_leases(session: Session, *where: sa.ColumnElement[bool]) -> int:
    """Put the parts of lost leases back; returns how many leases were lost."""
    query = sa.select(Lease).where(Lease.state == "open", *where).with_for_update()
    lost = list(session.scalars(query))
    for lease in lost:
        end_lease(session, lease, "expired")
    return len(lost)


def locked_items(session: Session, order: str, ids: Sequence[str]) -> dict[str, Item]:
    """Parts of an order by id, their rows held."""
    query = sa.select(Item).where(Item.order_id == order, Item.id.in_(list(ids))).with_for_update()
    rows = session.scalars(query, execution_options={"populate_existing": True})
    return {item.id: item for item in rows}
