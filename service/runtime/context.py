"""What a job may do: read, and take steps, each of which happens once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, overload

from pydantic import BaseModel
from sqlalchemy.orm import Session

from service.db.session import Database
from service.db.tables import JobStep, Order
from service.errors import INTERNAL, JobError, WorkerLostError, classify
from service.runtime import job_queries, parts
from service.runtime.clock import LivingClock
from service.runtime.patience import PASSING, patiently, pauses
from service.runtime.process import Child, ChildKilledError
from service.runtime.sharing import Sharing
from service.runtime.task import WAITED, In, Out, StepData, Task, output_type
from service.settings import Settings

Settle = Callable[[Session], None]
JsonObject = dict[str, object]
T = TypeVar("T")
Params = TypeVar("Params", bound=BaseModel)
Kept = TypeVar("Kept", bound=StepData)
# Each line of progress is an event row: a long job reports less often, so that there are few rows.
PROGRESS_EVERY_S, SLOWEST_PROGRESS_S = 0.5, 10.0
LOG_EVERY_S = 1.0


MOST_KILLED = 2
FULL_DISK = "storage_full"
PARKED = "parked"


@dataclass
class _Execution:
    """The step that is running: its row, when it began by the worker's clock, and how long it waited."""

    row_id: str
    began: float
    waited_s: float = 0.0


class CancelledJobError(Exception):
    """The job was cancelled while no step was running."""


class WaitingJobError(Exception):
    """The job waits for something outside; whoever provides it queues the job again.

    ``settle`` is called in the transaction that records the waiting, and queues the job at once where what it
    waits for has arrived in the meantime.
    """

    def __init__(self, settle: Settle) -> None:
        super().__init__("the job waits")
        self.settle = settle


class WorkContext:
    """A job in the hands of a worker.

    A step runs at least once and is recorded once: its rows and its record are one transaction, and a
    step with a record is not run again but answered from it, by whichever worker has the job then. Every
    such transaction first makes sure that this worker has not been declared dead.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        worker_id: str,
        job_id: str,
        project: str,
        params: dict[str, object],
        child: Child,
        clock: LivingClock,
    ) -> None:
        self.database, self.settings = database, settings
        self.id, self.project, self.params = job_id, project, params
        self._worker_id, self._clock = worker_id, clock
        self._sharing = Sharing(database, settings, worker_id)
        self._step: _Execution | None = None
        self._window = (0, 0, 0)
        self._reported_at = 0.0
        self._opened = time.monotonic()
        self.share = 0.0
        """How far the whole job was reported to be, as a share; a worker that continues a job starts from its own."""
        self._began: tuple[float, float] | None = None
        self._pending: asyncio.TimerHandle | None = None
        self._metrics: Mapping[str, object] | None = None
        self._lines: list[str] = []
        self._logged = time.monotonic()
        self.outcome: str | None = None
        """What came out, in words; set it last, so that a job that has ended does not seem to be at it still."""
        self.child = child
        child.log = self._log

    def parameters(self, kind: type[Params]) -> Params:
        """What the request for the job stored."""
        return kind.model_validate(self.params)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session to read with."""
        with self.database.read() as session:
            yield session

    def window(self, start: int, stop: int, total: int) -> None:
        """What the next step's progress, from none to all, means for the whole job."""
        self._window = (start, stop, total)

    @property
    def span(self) -> tuple[int, int, int]:
        """The last window set by :meth:`window`."""
        return self._window

    @overload
    async def step(self, name: str, task: Task[In, Out], request: In) -> Out: ...

    @overload
    async def step(
        self, name: str, task: Task[In, Out], request: In, store: Callable[[Session, Out], Kept]
    ) -> Kept: ...

    async def step(
        self,
        name: str,
        task: Task[In, Out],
        request: In,
        store: Callable[[Session, Out], Kept] | None = None,
    ) -> Out | Kept:
        """Run a task in the child process, then write its rows; returns what is recorded.

        That is what ``store`` returns, for instance something smaller or with the ids of the rows, or else the
        task's output. A record is read back as the annotated return type.
        """

        async def work() -> Out:
            order = await self._placed(name, task, request)
            if order is not None:
                return output_type(task).joined(await self._in_parts(order, task, request.limit_s))
            return await self._in_child(task, request)

        if store is None:
            return await self._once(name, output_type(task), work, lambda _session, output: output)
        return await self._once(name, output_type(store), work, store)

    async def write(self, name: str, store: Callable[[Session], Kept]) -> Kept:
        """A step that only writes rows."""

        async def nothing() -> None:
            return None

        return await self._once(name, output_type(store), nothing, lambda session, _: store(session))

    async def _once(
        self,
        name: str,
        recorded: type[Kept],
        work: Callable[[], Awaitable[T]],
        store: Callable[[Session, T], Kept],
    ) -> Kept:
        row_id, record = await self._patiently(lambda: self._begin(name))
        if record is None:
            self._step = _Execution(row_id, self._clock.read())
            try:
                result = await work()
                self._cancel_pending_progress()
                await asyncio.to_thread(self._flush_log)
                record = await self._patiently(lambda: self._finish(row_id, result, store))
            finally:
                self._cancel_pending_progress()
                self._step = None
        return recorded.model_validate(record)

    async def _placed(self, step: str, task: Task[In, Out], request: In) -> str | None:
        """The order of a step in parts; None where this worker executes it alone."""
        order = await self._patiently(lambda: self._sharing.placed(self.project, self.id, step))
        if order is not None or not request.shares(2):
            return order
        workers = await self._patiently(self._sharing.workers)
        requests = request.shares(workers) if workers > 1 else []
        if len(requests) < 2:
            return None
        return await self._patiently(lambda: self._sharing.place(self.project, self.id, step, task, requests))

    async def _in_parts(self, order: str, task: Task[In, Out], limit_s: float | None) -> list[Out]:
        """The outputs of all parts, of which none is begun after ``limit_s``.

        The time is that of this worker, which has the job: no clocks of several machines are compared.
        """
        if limit_s is None:
            return await self._executed(order, task)
        closing = asyncio.create_task(self._close_after(limit_s, order, task))
        try:
            return await self._executed(order, task)
        finally:
            closing.cancel()
            await asyncio.gather(closing, return_exceptions=True)

    async def _close_after(self, seconds: float, order: str, task: Task[In, Out]) -> None:
        """Close the parts that are left, and those that a dead worker gives back later; until it is cancelled."""
        await asyncio.sleep(seconds)
        while True:
            await self._patiently(lambda: self._sharing.close(order, task))
            await asyncio.sleep(self.settings.poll_s)

    async def _executed(self, order: str, task: Task[In, Out]) -> list[Out]:
        """Execute parts until none is left, then wait for those that other workers have."""
        claim = partial(self._sharing.claim, Order.id == order)
        while True:
            outputs = await self._patiently(lambda: self._sharing.outputs(order, task))
            if outputs is not None:
                return outputs
            part = await self._patiently(claim)
            if part is None:
                await asyncio.sleep(self.settings.poll_s)
                continue
            record = partial(self._sharing.give_back, part)
            try:
                output = await self._in_child(part.task, part.request)
                record = partial(self._sharing.finish, part, output)
            finally:  # whatever ended it, the part is not left in this worker's hands
                await self._patiently(record)

    async def _in_child(self, task: Task[In, Out], request: In) -> Out:
        """Run a task, again while the disk is full, and once more with less memory where its process was killed."""
        killed, how = 0, "as asked"
        for pause in pauses():
            try:
                return await self.child.run(task, request, self._progress)
            except ChildKilledError as error:
                killed += 1
                if killed == MOST_KILLED:
                    raise JobError(
                        PARKED,
                        f"{error}; it was killed from outside {killed} times, the last time {how}: probably the "
                        f"memory is too small. What helps is {request.NEEDS_LESS}; POST /v1/jobs/{self.id}:resume "
                        "tries again",
                    ) from error
                request, how = request.smaller()
                self._log(f"{error}; it runs once more, {how}")
            except JobError as error:
                if error.code != FULL_DISK:
                    raise
                await self.report(f"waiting for room on the disk: {error}")
                await asyncio.sleep(pause)
        raise AssertionError("pauses have no end")

    async def _patiently(self, work: Callable[[], T]) -> T:
        """Work on the database, again while it does not answer: what a step has computed is kept."""
        return await uninterrupted(asyncio.to_thread(patiently, work, f"job {self.id}"))

    def _begin(self, name: str) -> tuple[str, JsonObject | None]:
        with self.database.write() as session:
            job_queries.require_alive(session, self._worker_id)
            job = job_queries.locked_job(session, self.id)
            if job is None or job.state not in ("running", "queued"):
                raise CancelledJobError
            row = job_queries.begin_step(session, job, name, self._worker_id)
            return row.id, row.result if row.finished_at is not None else None

    def _finish(self, row_id: str, result: T, store: Callable[[Session, T], StepData]) -> JsonObject:
        with self.database.write() as session:
            job_queries.require_alive(session, self._worker_id)
            job = job_queries.locked_job(session, self.id)
            if job is None:
                raise WorkerLostError(f"job {self.id} does not exist any more")
            row = session.get_one(JobStep, row_id)
            if row.finished_at is not None and row.result is not None:
                return row.result  # an outage hid that the commit of an earlier try was done
            self._note_time(row)
            record = store(session, result).model_dump(mode="json")
            order = parts.order_of(session, self.project, self.id, row.step)
            if order is not None and order.task is not None:
                parts.remove_order(session, order.id)
            job_queries.finish_step(session, job, row_id, record)
            return record

    def _note_time(self, row: JobStep) -> None:
        """Record how long this worker has been at a step, and for how long that waited for a busy machine."""
        if self._step is not None and self._step.row_id == row.id:
            row.waited_s = self._step.waited_s
            row.active_s = max(self._clock.read() - self._step.began - row.waited_s, 0.0)

    def active_seconds(self, session: Session) -> float:
        """Seconds for which living workers were at this job, without waiting for devices or a busy machine."""
        return job_queries.active_seconds(session, self.id)

    # --- progress ---------------------------------------------------------------------------------

    async def report(self, message: str) -> None:
        """Show what the job is doing."""
        start, _, total = self._window
        await asyncio.to_thread(self._write_progress, start, total, message)

    def _progress(
        self, done: int, total: int, message: str | None, metrics: Mapping[str, Any] | None = None
    ) -> None:
        """Called on the event loop for each line of progress; writes some of them, and the last one a little later.

        Of metrics that are not written, a value that is itself a mapping is kept until a later line has one.
        """
        self._cancel_pending_progress()
        if metrics is not None and WAITED in metrics:
            if self._step is not None:
                self._step.waited_s = float(metrics[WAITED])
            metrics = None
        if metrics is not None:
            kept = {
                k: v for k, v in (self._metrics or {}).items() if isinstance(v, dict) and not metrics.get(k)
            }
            self._metrics = {**metrics, **kept}
        age = time.monotonic() - self._opened
        left = min(PROGRESS_EVERY_S + age / 100, SLOWEST_PROGRESS_S) - (time.monotonic() - self._reported_at)
        if left > 0:
            # It may be the last for long: what is being done then must be seen.
            again = partial(self._progress, done, total, message)
            self._pending = asyncio.get_running_loop().call_later(left, again)
            return
        self._reported_at = time.monotonic()
        start, stop, whole = self._window
        if whole == 0:
            start, stop, whole = 0, total, total
        reached = start + (stop - start) * (done / total if total else 0.0)
        if self._began is None:  # only now: what came before was loading, which happens once
            self._began = (time.monotonic(), reached)
        metrics, self._metrics = self._metrics, None
        asyncio.get_running_loop().run_in_executor(
            None, self._write_progress, reached, whole, message, metrics
        )

    def _cancel_pending_progress(self) -> None:
        """The step is over: drop progress that was not reported yet."""
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None

    def _write_progress(
        self, done: float, total: int, message: str | None, metrics: Mapping[str, object] | None = None
    ) -> None:
        """Write progress; its share never falls, also where another worker continues the job or a step grows."""
        began, first = self._began or (time.monotonic(), done)
        spent, gained = time.monotonic() - began, done - first
        eta = spent * (total - done) / gained if spent >= 1 and gained > 0 else None
        self.share = max(self.share, done / total if total else 0.0)
        done = self.share * total
        with suppress(*PASSING), self.database.write() as session:  # the next report is as good
            job_queries.set_progress(session, self.id, int(done + 1e-9), total, eta, message, metrics)
            if self._step is not None:
                self._note_time(session.get_one(JobStep, self._step.row_id))

    def _log(self, line: str) -> None:
        self._lines.append(line)
        if time.monotonic() - self._logged >= LOG_EVERY_S:
            asyncio.get_running_loop().run_in_executor(None, self._flush_log)

    def _flush_log(self) -> None:
        lines, self._lines = self._lines, []
        self._logged = time.monotonic()
        if lines:
            try:
                with self.database.write() as session:
                    job_queries.add_log(session, self.id, lines)
            except PASSING:
                self._lines = (lines + self._lines)[-job_queries.MAX_LOG_LINES :]

    async def close(self) -> None:
        """Write what is left of the log."""
        await asyncio.to_thread(self._flush_log)


async def uninterrupted(work: Coroutine[object, object, T]) -> T:
    """Await work that must not be left half done; a cancellation in the meantime takes effect after it."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


def failure(error: BaseException, job_id: str) -> tuple[str, str]:
    """Code and public message of a job's error.

    An exception that is not of the table of errors may hold SQL, paths or texts of drivers: only the log has its text.
    """
    code = error.code if isinstance(error, JobError) else classify(error)[1]
    if code == INTERNAL:
        return code, f"the job failed unexpectedly; the log of the worker has the details under {job_id}"
    return code, str(error) or type(error).__name__
