"""Leases: agents describe their device, lease networks and return rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy.orm import Session

from predictors.measuring.references import SIZES, reference_net, reference_sha256
from predictors.targets.target import fingerprint
from service.artifacts import ArtifactStore, own_artifact
from service.db import queries
from service.db.tables import Agent, Item, Job, Lease, Order, Target, now
from service.devices import lease_queries
from service.devices.hardware import check_settings, is_remote
from service.devices.lease_schemas import (
    DeviceDescription,
    LeasedItem,
    LeaseRenew,
    LeaseView,
    Reference,
    RenewView,
)
from service.devices.staleness import runtime_changed
from service.errors import ConflictError, InvalidError, LostLeaseError, OtherDeviceError
from service.runtime import job_queries, parts
from supernets.metrics import LATENCY
from supernets.words import counted

Json = dict[str, object]
MOST_ATTEMPTS = 3  # leases of a network without a valid row before it is refused


def target_of_agent(session: Session, project: str, id_or_name: str) -> Target:
    """The requested target, with its row locked; unknown and local targets are errors that list the choices."""
    row = queries.named(session, project, Target, id_or_name)
    if row is not None and is_remote(row.kind):
        return lease_queries.locked_target(session, row.id)
    remote = [target.name for target in queries.every(session, project, Target) if is_remote(target.kind)]
    what = f"{id_or_name!r} is of kind {row.kind}" if row is not None else f"there is no {id_or_name!r}"
    choices = ", ".join(sorted(remote)) or "none yet: `netwright targets add agent --name NAME` makes one"
    raise InvalidError(
        "target", id_or_name, sorted(remote), f"target must be one of kind agent ({choices}); {what}"
    )


def attach(target: Target, found: DeviceDescription) -> str | None:
    """The first device defines the target, others are errors; returns the reason if the target is stale."""
    known = target.description
    if known.get("device") is not None and known["device"] != found.device:
        raise OtherDeviceError(
            f"target {target.name!r} is another device: {differences(known['device'], found.device)}; "
            "register a target for this one: `netwright targets add agent --name …`"
        )
    if known.get("runtime") is not None:
        return runtime_changed(known["runtime"], found.runtime)
    cores, threads = found.device.get("cores"), target.settings.get("threads", 1)
    if isinstance(cores, int) and threads > cores:
        raise OtherDeviceError(
            f"target {target.name!r} has the setting threads={threads}, this device has {cores} cores"
        )
    target.description = {
        "kind": target.kind,
        "device": found.device,
        "runtime": found.runtime,
        "settings": check_settings(target.kind, target.settings).as_json(),
    }
    target.fingerprint = fingerprint(target.description)
    target.metrics = list(dict.fromkeys([LATENCY, *found.metrics]))
    return None


def differences(there: Mapping[str, object], here: Mapping[str, object]) -> str:
    """The differences of two descriptions: ``cores 4 there, 8 here``."""
    names = [name for name in {**there, **here} if there.get(name) != here.get(name)]
    return "; ".join(f"{name} is {there.get(name)!r} there, {here.get(name)!r} here" for name in names)


def store_references(session: Session, project: str, store: ArtifactStore) -> None:
    """Store the reference networks for download by agents."""
    for name in SIZES:
        content = reference_net(name)
        own_artifact(
            session,
            project,
            store.put(content),
            len(content),
            "application/octet-stream",
            f"reference-{name}.onnx",
        )


# --- leases ----------------------------------------------------------------------------------------


def take(session: Session, target: Target, agent: Agent, most: int, seconds: float) -> Lease | None:
    """A lease of the next networks; ``None`` if there are none or while the target is being calibrated."""
    expire(session, target)
    if target.calibrations is None and lease_queries.open_leases(session, target.project_id, target.id):
        return None  # two calibrations would give two scales
    items = lease_queries.next_items(session, target.project_id, target.id, most)
    return parts.make_lease(session, items, seconds, agent_id=agent.id) if items else None


def expire(session: Session, target: Target) -> int:
    """Expire overdue leases and release their networks; returns the number of leases."""
    overdue = lease_queries.expire_leases(session, target.project_id, target.id)
    if overdue:
        for order in lease_queries.open_orders(session, target.project_id, target.id):
            give_up_on(session, order)
            settle(session, order)
    return overdue


def give_up_on(session: Session, order: Order) -> None:
    """Refuse networks that were returned from several leases without a row."""
    for item in parts.items_of(session, order.id):
        if item.state == "waiting" and item.attempts >= MOST_ATTEMPTS:
            why = (item.result or {}).get("refused") or "no agent that leased it returned a row"
            item.state = "done"
            item.result = no_timing(item, f"leased {item.attempts} times: {why}")


def no_timing(item: Item, error: str) -> Json:
    """The result of a network that could not be measured."""
    from predictors.measuring.protocol import Timing

    timing = Timing(str(item.position), "refused", sha256=item.file_sha256 or "", error=error)
    return {"timing": timing.as_json(), "extras": {}, "provenance": {}}


def settle(session: Session, order: Order) -> None:
    """Wake the job of an order that is complete."""
    session.flush()
    if parts.count_items(session, order.id, "waiting", "leased"):
        return
    job = job_queries.locked_job(session, order.job_id)
    if job is not None and job.waiting_since is not None and job.state == "running":
        job_queries.wake(session, job)


def settle_order(order_id: str, session: Session) -> None:
    """:func:`settle` for the id of an order."""
    settle(session, session.get_one(Order, order_id))


def view(session: Session, lease: Lease, target: Target) -> LeaseView:
    """The view of a lease for its agent."""
    order = session.get_one(Order, lease.order_id)
    items = [item for item in parts.items_of(session, order.id) if item.lease_id == lease.id]
    return LeaseView(
        id=lease.id,
        expires_at=lease.expires_at,
        expires_in_s=lease.seconds,
        target=target.id,
        settings=target.settings,
        protocol=order.protocol,
        metrics=order.metrics,
        calibrations=target.calibrations,
        references=[
            Reference(name=name, sha256=reference_sha256(name), bytes=len(reference_net(name)))
            for name in SIZES
        ],
        items=[LeasedItem(id=item.id, sha256=item.file_sha256, bytes=item.bytes) for item in items],
    )


def held(session: Session, project: str, id: str) -> tuple[Lease, Target]:
    """A refreshed lease and its target, with the row of the target locked."""
    lease = queries.get(session, project, Lease, id)
    target = lease_queries.locked_target(session, lease.target_id or "")
    session.refresh(lease)
    return lease, target


def renew(session: Session, lease: Lease, target: Target, report: LeaseRenew) -> RenewView:
    """Extend a lease to its full duration; an expired one gets back the networks that no other lease holds."""
    items = parts.items_of(session, lease.order_id)
    mine = [item for item in items if item.lease_id == lease.id and item.state != "done"]
    if lease.state == "closed" or not mine:
        raise LostLeaseError(f"lease {lease.id} is over: its nets are measured, or others have them")
    lease.state, lease.expires_at = "open", now() + timedelta(seconds=lease.seconds)
    for item in mine:
        item.state = "leased"
    agent = session.get_one(Agent, lease.agent_id)
    agent.seen_at = now()
    lease.progress = (
        min(report.done / report.total, 1.0) if report.step == "measure" and report.total else 0.0
    )
    order = session.get_one(Order, lease.order_id)
    tell(session, order, f"{agent.name} on {target.name}: {_doing(report)}")
    return RenewView(
        expires_at=lease.expires_at, expires_in_s=lease.seconds, items=[item.id for item in mine]
    )


def _doing(report: LeaseRenew) -> str:
    if report.step == "wait":
        return f"waiting for another measuring run there, {report.done} s so far"
    return f"{report.step}, round {report.done} of {report.total}" if report.total else report.step


def release(session: Session, lease: Lease, target: Target) -> None:
    """Release the networks of a lease; this does not count as an attempt."""
    if lease.state != "open":
        raise ConflictError(f"lease {lease.id} is {lease.state} already")
    for item in parts.items_of(session, lease.order_id):
        if item.lease_id == lease.id and item.state == "leased":
            item.attempts -= 1
    session.flush()
    parts.end_lease(session, lease, "closed")
    expire(session, target)


def tell(session: Session, order: Order, words: str) -> None:
    """Update the progress of the job of an order."""
    session.flush()
    items = parts.items_of(session, order.id)
    done = sum(item.state == "done" for item in items)
    leases = lease_queries.open_leases(session, order.project_id, order.target_id)
    shares = {lease.id: lease.progress for lease in leases}
    under_way = sum(shares.get(item.lease_id or "", 0.0) for item in items if item.state == "leased")
    share = (done + under_way) / max(len(items), 1)
    start, stop, total = order.span
    eta = None
    if order.started_at is not None and share > 0:
        eta = (now() - order.started_at).total_seconds() * (1 - share) / share
    job = session.get_one(Job, order.job_id)
    if job.waiting_since is not None:
        text = f"{words}; {done} of {counted(len(items), 'net')} measured"
        job_queries.set_progress(session, job.id, int(start + (stop - start) * share), total, eta, text)
