"""A worker process: takes jobs out of the queue, sends heartbeats, takes over from dead workers.

It is made to be killed: stopping and crashing are the same thing to the jobs it has.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from service import logs
from service.db.session import Database
from service.db.tables import Job
from service.errors import WorkerLostError
from service.ids import new_id
from service.runtime import job_queries, queue
from service.runtime.clock import LivingClock, Watch
from service.runtime.context import (
    CancelledJobError,
    Settle,
    WaitingJobError,
    WorkContext,
    failure,
    uninterrupted,
)
from service.runtime.patience import PASSING, patiently, pauses
from service.runtime.process import Child, kill_group
from service.runtime.recovery import give_back, host_name, take_over
from service.runtime.sharing import AnyPart, Sharing
from service.settings import Settings
from supernets.registry import Registry

KEEP_CHILD_S = 120.0
LOST = 70  # exit status of a worker that was declared dead
log = logging.getLogger("netwright.worker")


@dataclass
class _Place:
    """Room for one job or a part of one: its child process, and the job that runs there."""

    short: bool
    child: Child
    job_id: str | None = None
    task: asyncio.Task[None] | None = None
    helps: bool = False
    """Whether it executes a part of a job that another worker has."""
    idle_since: float | None = None

    @property
    def free(self) -> bool:
        return self.task is None or self.task.done()


class Worker:
    """One worker. It executes one long job and one short one at a time: a measurement needs the machine for itself."""

    def __init__(
        self,
        settings: Settings,
        jobs: Registry,
        watch: Callable[[Database, Settings], None] | None = None,
    ) -> None:
        """``jobs`` are the kinds of job; ``watch`` is called once a heartbeat, to look after waiting jobs.

        Raises:
            UnknownNameError: the settings name a kind of job that does not exist.
        """
        self.id = new_id("wrk")
        self._settings, self._jobs, self._watch = settings, jobs, watch
        for kind in (*settings.job_kinds, *settings.job_limits):
            jobs[kind]  # raises where there is none
        self._share = queue.Share(
            settings.job_kinds or tuple(jobs), settings.job_limits, settings.project_workers
        )
        self._database = Database(settings.database, must_exist=True)
        self._sharing = Sharing(self._database, settings, self.id)
        self._places = [_Place(short, Child(settings.threads)) for short in (False, True)]
        gap_s = 5 * settings.heartbeat_s
        self._clock = LivingClock(gap_s)
        self._silence = Watch(settings.worker_timeout_s, gap_s)
        self._ended = threading.Event()

    def serve(self) -> None:
        """Work until a signal ends the process."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._ended.set())
        patiently(self._register, "registering the worker", self._ended)
        for body, name in ((self._beat, "heartbeat"), (self._inherit, "inheritance")):
            threading.Thread(target=body, daemon=True, name=name).start()
        log.info("worker %s takes jobs: %s", self.id, ", ".join(self._share.kinds))
        asyncio.run(self._work())

    def _register(self) -> None:
        with self._database.write() as session:
            job_queries.register_worker(session, self.id, host_name(), os.getpid())

    def _stop(self) -> None:
        """End on a signal; another worker takes the jobs over at once."""
        with suppress(*PASSING), self._database.write() as session:
            job_queries.stop_worker(session, self.id)
        self._die(0)

    # --- life and death --------------------------------------------------------------------------

    def _beat(self) -> None:
        """Send heartbeats. While the database does not answer the jobs go on: no other worker can take them."""
        while not self._ended.wait(self._settings.heartbeat_s):
            self._clock.read()
            try:
                with self._database.write() as session:
                    alive = job_queries.beat(session, self.id)
            except PASSING as error:
                log.warning("heartbeat: %s", error)
                self._silence.forget()  # the others could not write either
            except Exception:
                log.exception("heartbeat failed")
            else:
                if not alive:
                    log.error("worker %s was declared dead; it stops", self.id)
                    self._die(LOST)

    def _inherit(self) -> None:
        while True:
            try:
                take_over(self._database, self.id, self._settings, self._silence)
                if self._watch is not None:
                    self._watch(self._database, self._settings)
            except PASSING as error:
                log.warning("looking for dead workers: %s", error)
                self._silence.forget()
            except Exception:
                log.exception("looking for dead workers failed")
            if self._ended.wait(self._settings.heartbeat_s):
                return

    def _die(self, status: int) -> NoReturn:
        """End at once, with all children: another worker takes the jobs over, or has done so."""
        for place in self._places:
            if place.child.pid is not None:
                kill_group(place.child.pid)
        logging.shutdown()
        os._exit(status)

    # --- jobs ------------------------------------------------------------------------------------

    async def _work(self) -> None:
        """Fill free places from the queue, and cancel what is to be cancelled, until the process ends."""
        waits = pauses()
        while not self._ended.is_set():
            pause = self._settings.poll_s
            try:
                for place in self._places:
                    if place.free:
                        await self._fill(place)
                await self._cancel_requested()
                waits = pauses()
            except PASSING as error:
                pause = next(waits)
                log.warning("looking into the queue: %s; next try in %.1f s", error, pause)
            except WorkerLostError:
                log.exception("worker %s cannot take jobs", self.id)
                self._die(LOST)
            except Exception:  # the jobs that run go on: the worker must not end for it
                log.exception("looking into the queue failed")
            await asyncio.sleep(pause)
        await asyncio.to_thread(self._stop)

    async def _fill(self, place: _Place) -> None:
        """Start the next job in a free place; a worker without jobs frees the memory of its child processes."""
        loop = asyncio.get_running_loop()
        taken = await asyncio.to_thread(self._take, place)
        if taken is not None:
            kind, run = taken
            place.job_id, place.helps, place.idle_since = run.id, False, None
            place.task = loop.create_task(self._job(kind, run))
        elif not place.short and (part := await asyncio.to_thread(self._take_part)) is not None:
            self._borrow(place)
            place.job_id, place.helps, place.idle_since = part.job, True, None
            place.task = loop.create_task(self._help(place, part))
        elif place.idle_since is None:
            place.idle_since = loop.time()
        elif loop.time() - place.idle_since > KEEP_CHILD_S and all(other.free for other in self._places):
            await place.child.kill()

    async def _cancel_requested(self) -> None:
        """Stop the jobs that are to be cancelled, in the middle of a step."""
        for look, helps in ((self._cancelling, False), (self._sharing.needless, True)):
            running = {
                place.job_id: place.task
                for place in self._places
                if place.job_id is not None and place.task is not None and not place.task.done()
                and place.helps == helps
            }  # fmt: skip
            if running:
                for job_id in await asyncio.to_thread(look, list(running)):
                    if not running[
                        job_id
                    ].cancelling():  # once: the second would interrupt recording the first
                        running[job_id].cancel()

    def _cancelling(self, jobs: Collection[str]) -> set[str]:
        with self._database.read() as session:
            return queue.cancelling(session, jobs)

    def _take_part(self) -> AnyPart | None:
        """Claim a part of a job that another worker has; an idle worker only reads."""
        if not self._sharing.has_work(self._share):
            return None
        return self._sharing.claim(share=self._share)

    async def _help(self, place: _Place, part: AnyPart) -> None:
        """Execute a part; one that fails here is left to others, in the end to the worker that has the job."""
        logs.job_id.set(part.job)
        log.info("part %d of a step starts", part.position)
        place.child.log = log.info
        record = partial(self._sharing.give_back, part)
        try:
            output = await place.child.run(part.task, part.request, lambda *_: None)
            record = partial(self._sharing.finish, part, output)
        except asyncio.CancelledError:
            log.info("part %d is not needed any more", part.position)
        except Exception as error:
            log.warning("part %d failed here: %s", part.position, error)
        try:
            work = asyncio.to_thread(patiently, record, f"a part of job {part.job}", self._ended)
            await uninterrupted(work)
        except WorkerLostError:
            log.exception("worker %s has lost a part of job %s", self.id, part.job)
            self._die(LOST)
        except Exception:  # it is lost with this worker's leases
            log.exception("a part of job %s could not be recorded", part.job)

    async def _job(self, kind: str, run: WorkContext) -> None:
        """A job from its start to its end; what comes out is recorded whatever cancels it in the meantime."""
        logs.job_id.set(run.id)
        log.info("%s starts", kind)
        record = await self._outcome(kind, run)
        try:
            await uninterrupted(self._record(run, record))
        except WorkerLostError:
            log.exception("job %s belongs to another worker", run.id)
            self._die(LOST)
        except Exception:  # the job is found again as one that runs nowhere
            log.exception("the end of job %s could not be recorded; it is queued again", run.id)

    async def _outcome(self, kind: str, run: WorkContext) -> Callable[[], None]:
        """Execute a job; returns what records how it ended."""
        try:
            # The first job of a kind imports for seconds, and a job that is cancelled must not wait for it.
            work = await asyncio.to_thread(self._jobs.load, kind)
            await work(run)
        except (CancelledJobError, asyncio.CancelledError):
            return partial(self._record_end, run, "cancelled")
        except WaitingJobError as error:
            return partial(self._rest, run.id, error.settle)
        except PASSING as error:
            log.warning("job %s is queued again: %s", run.id, error)
            return partial(self._again, run.id)
        except WorkerLostError:
            log.exception("job %s belongs to another worker", run.id)
            self._die(LOST)
        except Exception as error:
            log.exception("job %s failed", run.id)
            code, message = failure(error, run.id)
            return partial(self._record_end, run, "failed", (code, self._settings.public(message)))
        log.info("%s succeeded", kind)
        return partial(self._record_end, run, "succeeded")

    async def _record(self, run: WorkContext, record: Callable[[], None]) -> None:
        await run.close()
        await asyncio.to_thread(patiently, record, f"job {run.id}", self._ended)

    def _take(self, place: _Place) -> tuple[str, WorkContext] | None:
        """Claim the next job for a place; an idle worker only reads."""
        with self._database.read() as session:
            if not queue.has_work(session, self.id, self._share, place.short):
                return None
        with self._database.write() as session:
            job_queries.require_alive(session, self.id)
            for lost in queue.orphans(session, self.id, place.short):
                lost.deaths += 1
                give_back(session, lost, self._settings.max_attempts)
            session.flush()
            job = queue.claim(session, self.id, self._share, place.short)
            if job is None:
                return None
            self._borrow(place)
            return job.kind, self._context(job, place.child)

    def _borrow(self, place: _Place) -> None:
        """Take the child of a free place where this one has none: it has imported and loaded what takes seconds."""
        for other in self._places:
            if place.child.pid is None and other.free and other.child.pid is not None:
                place.child, other.child = other.child, place.child

    def _context(self, job: Job, child: Child) -> WorkContext:
        run = WorkContext(
            self._database,
            self._settings,
            self.id,
            job.id,
            job.project_id,
            dict(job.params),
            child,
            self._clock,
        )
        run.share = job.done / job.total if job.total else 0.0
        return run

    def _rest(self, job_id: str, settle: Settle) -> None:
        """Release a job that waits for devices; where they were faster it is queued at once."""
        with self._database.write() as session:
            job_queries.require_alive(session, self.id)
            job = job_queries.locked_job(session, job_id)
            if job is None:
                return
            if job.state == "cancelling":
                job_queries.set_state(session, job, "cancelled")
            if job.state == "running":
                job_queries.rest(job)
                settle(session)

    def _again(self, job_id: str) -> None:
        """Queue a job again that an outage of the database has stopped between two steps: no failed attempt."""
        with self._database.write() as session:
            job_queries.require_alive(session, self.id)
            job = job_queries.locked_job(session, job_id)
            if job is None or job.state != "running":
                return
            job_queries.rest(job)
            job_queries.wake(session, job)

    def _record_end(self, run: WorkContext, state: str, error: tuple[str, str] | None = None) -> None:
        with self._database.write() as session:
            job_queries.require_alive(session, self.id)
            job = job_queries.locked_job(session, run.id)
            if job is None or job.state in job_queries.FINAL:
                return
            if state == "succeeded":
                job.total = max(job.total, 1)
                job.done = job.total
                job.message = run.outcome or job.message
            job_queries.set_state(session, job, state, error=error)
