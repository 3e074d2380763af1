"""Jobs that wait for devices: expired leases are returned, and a job reports when no agent is connected."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.orm import Session

from service.db.session import Database
from service.db.tables import Job, Order, Target, now
from service.devices import lease_queries, leasing
from service.runtime import job_queries, parts
from service.settings import Settings
from supernets.words import counted

NO_AGENT = "no_agent"


def look_after(database: Database, settings: Settings) -> None:
    """One look at every waiting job of every project."""
    with database.read() as session:
        waiting = [(job.id, order.id) for job, order in lease_queries.unfinished_orders(session)]
    for job_id, order_id in waiting:
        with database.write() as session:
            order = session.get_one(Order, order_id)
            target = lease_queries.locked_target(session, order.target_id or "")
            leasing.expire(session, target)
            job = job_queries.locked_job(session, job_id)
            if job is not None and job.waiting_since is not None:
                leasing.settle(session, order)
                _say_who_is_there(session, job, order, target, settings)


def _say_who_is_there(session: Session, job: Job, order: Order, target: Target, settings: Settings) -> None:
    """Report when no agent can do the work, and end the job where that was configured."""
    if job.waiting_since is None:
        return
    seen = [agent.seen_at for agent in lease_queries.agents_of(session, target.project_id, [target.id])]
    if seen and now() - max(seen) <= timedelta(seconds=settings.lease_s):
        return
    silence = (now() - max([job.waiting_since, *seen])).total_seconds()
    start = f"`netwright agent --server URL --key KEY --target {target.name}` on the device starts one"
    if 0 < settings.agent_wait_s < silence:
        message = f"target {target.name!r} had no agent for {silence:.0f} s; {start}"
        job_queries.set_state(session, job, "failed", error=(NO_AGENT, message))
        return
    left = parts.count_items(session, order.id, "waiting", "leased")
    waits = f"{counted(left, 'net')} {'waits' if left == 1 else 'wait'}"
    message = f"{waits} for an agent of target {target.name!r}, none is connected; {start}"
    if job.message != message:
        job_queries.set_progress(session, job.id, job.done, job.total, None, message)
