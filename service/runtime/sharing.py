"""A step that several workers execute: its input in parts, each of which any worker with a free place may claim.

The worker that has the job places the parts, takes some itself, and waits for the others. An idle worker claims a part
as it claims a job, executes it in its own child process, and stores the output with the part. The outputs are joined in
the order of the parts, so that the result is that of one worker.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Generic, get_type_hints

import sqlalchemy as sa
from sqlalchemy.orm import Session

from service.db.session import Database
from service.db.tables import Item, Job, Lease, Order
from service.runtime import job_queries, parts, queue
from service.runtime.task import In, Out, StepData, Task, output_type
from service.settings import Settings

MOST_HELPERS = 2
"""Workers that may fail or die on a part before only the worker that has the job takes it."""
FOR_WORKERS = Order.task.is_not(None)


@dataclass(frozen=True)
class Part(Generic[In, Out]):
    """A claimed part: the job, the lease and the item, and what is to be executed."""

    job: str
    lease: str
    item: str
    position: int
    task: Task[In, Out]
    request: In


AnyPart = Part[Any, Any]
"""Of a task of any kind: the inputs and outputs of one kind fit each other."""


@dataclass(frozen=True)
class Sharing:
    """The parts that one worker places, claims and finishes."""

    database: Database
    settings: Settings
    worker: str

    def workers(self) -> int:
        """How many workers are alive; the parts of a step are made for them."""
        with self.database.read() as session:
            return len(job_queries.living_workers(session, self.settings.worker_timeout_s))

    def placed(self, project: str, job: str, step: str) -> str | None:
        """The order of a step that was begun in parts, whose claims by this worker are void: it begins again."""
        with self.database.write() as session:
            job_queries.require_alive(session, self.worker)
            order = parts.order_of(session, project, job, step)
            if order is None:
                return None
            parts.end_leases(session, Lease.order_id == order.id, Lease.worker_id == self.worker)
            return order.id

    def place(
        self, project: str, job: str, step: str, task: Task[In, Out], requests: Sequence[StepData]
    ) -> str:
        """Order the parts of a step; returns the id of the order."""
        items = [{"request": request.model_dump(mode="json")} for request in requests]
        name = f"{task.__module__}:{task.__qualname__}"
        with self.database.write() as session:
            job_queries.require_alive(session, self.worker)
            order = parts.place_order(
                session, project, job, step, items,
                task=name, target_id=None, protocol={}, metrics=[], together=False, span=[],
            )  # fmt: skip
            return order.id

    def claim(self, *where: sa.ColumnElement[bool], share: queue.Share | None = None) -> AnyPart | None:
        """The next part that this worker may execute; with ``share`` one of another worker's job."""
        with self.database.write() as session:
            job_queries.require_alive(session, self.worker)
            queue.lock(session)
            if share is not None:
                where = (*where, *_helpful(session, share))
            items = parts.next_items(session, 1, FOR_WORKERS, *where)
            if not items:
                return None
            lease = parts.make_lease(session, items, 0.0, worker_id=self.worker)
            if share is not None:
                queue.serve(session, lease.project_id)
            return self._part(session, lease, items[0])

    def _part(self, session: Session, lease: Lease, item: Item) -> AnyPart:
        order = session.get_one(Order, item.order_id)
        module, _, name = (order.task or "").partition(":")
        task = getattr(import_module(module), name)
        hints = get_type_hints(task)
        kind: type[StepData] = hints[next(iter(hints))]
        request = kind.model_validate(item.request).here(self.settings)
        return Part(order.job_id, lease.id, item.id, item.position, task, request)

    def has_work(self, share: queue.Share) -> bool:
        """Whether a worker with a free place may find a part; a read, so that it does not lock the database."""
        with self.database.read() as session:
            return bool(parts.next_items(session, 1, FOR_WORKERS, *_helpful(session, share)))

    def finish(self, part: Part[In, Out], output: Out) -> None:
        """Store the output of a part; it is dropped where another worker has claimed the part in the meantime."""
        with self.database.write() as session:
            job_queries.require_alive(session, self.worker)
            lease = session.get(Lease, part.lease, with_for_update=True)
            item = session.get(Item, part.item, with_for_update=True)
            if lease is None or item is None or item.lease_id != lease.id or item.state != "leased":
                return
            item.state, item.result = "done", output.model_dump(mode="json")
            session.flush()
            parts.end_lease(session, lease, "closed")

    def give_back(self, part: Part[In, Out]) -> None:
        """Another worker may take the part."""
        with self.database.write() as session:
            job_queries.require_alive(session, self.worker)
            parts.end_leases(session, Lease.id == part.lease)

    def close(self, order: str, task: Task[In, Out]) -> None:
        """Begin no further part: those that wait end without output. Those that were begun go on."""
        nothing = output_type(task).joined([]).model_dump(mode="json")
        with self.database.write() as session:
            job_queries.require_alive(session, self.worker)
            queue.lock(session)
            waiting = sa.update(Item).where(Item.order_id == order, Item.state == "waiting")
            session.execute(waiting.values(state="done", result=nothing))

    def outputs(self, order: str, task: Task[In, Out]) -> list[Out] | None:
        """The outputs of all parts in their order, or None while some are not done."""
        with self.database.read() as session:
            items = parts.items_of(session, order)
            if any(item.state != "done" for item in items):
                return None
            kind = output_type(task)
            return [kind.model_validate(item.result) for item in items]

    def needless(self, jobs: Collection[str]) -> set[str]:
        """Those of these jobs that need no parts any more: they have ended or are to be cancelled."""
        query = sa.select(Job.id).where(Job.id.in_(list(jobs)), Job.state.in_(("running", "queued")))
        with self.database.read() as session:
            return set(jobs) - set(session.scalars(query))


def _helpful(session: Session, share: queue.Share) -> tuple[sa.ColumnElement[bool], ...]:
    """Parts that a worker may take of another's job: of its kinds, within the workers of the project."""
    full = queue.full_projects(session, share.of_project)
    return (Job.kind.in_(share.kinds), Job.project_id.not_in(full), Item.attempts < MOST_HELPERS)
