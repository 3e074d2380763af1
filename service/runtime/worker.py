"""A worker process: takes jobs out of the queue, gives signs of life, takes over from the dead.

It is made to be killed: stopping and crashing are the same thing to the jobs it has.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import TypeVar

from service.db.session import Database
from service.errors import WorkerLostError
from service.ids import new_id
from service.runtime import job_queries
from service.runtime.clock import LivingClock, Watch
from service.runtime.context import CancelledJobError, Settle, WaitingJobError, WorkContext, failure
from service.runtime.engine import APPLICATION, QUEUE, SHORT_QUEUE, WORKFLOW, Queue, engine_config
from service.runtime.patience import PASSING, patiently
from service.runtime.process import Child, kill_group
from service.runtime.recovery import host_name, take_over
from service.settings import Settings
from supernets.registry import Registry

T = TypeVar("T")
KEEP_CHILD_S = 120.0
LOST = 70  # exit status of a worker that was declared dead
log = logging.getLogger("netwright.worker")


class Worker:
    """One worker. It executes one long job and one short one at a time: a measurement needs the machine for itself."""

    def __init__(
        self,
        settings: Settings,
        jobs: Registry,
        watch: Callable[[Database, Queue, Settings], None] | None = None,
    ) -> None:
        """``jobs`` are the kinds of job; ``watch`` is called once a heartbeat, to look after waiting jobs."""
        self.id = new_id("wrk")
        self._settings, self._jobs, self._watch = settings, jobs, watch
        self._database = Database(settings.database, must_exist=True)
        self._queue = Queue(self._database)
        self._children = {short: Child(settings.threads) for short in (False, True)}
        self._running: set[str] = set()
        self._cleaning: asyncio.Task[None] | None = None
        gap_s = 5 * settings.heartbeat_s
        self._clock = LivingClock(gap_s)
        self._silence = Watch(settings.worker_timeout_s, gap_s)
        self._ended = threading.Event()

    def start(self) -> None:
        """Register, begin to send heartbeats, and take jobs; returns at once."""
        from dbos import DBOS

        patiently(self._register, "registering the worker", self._ended)
        logging.getLogger("dbos").addFilter(_is_news)
        DBOS(config=engine_config(self._database, self.id, self._settings.log_level))  # type: ignore[arg-type]

        @DBOS.workflow(name=WORKFLOW, max_recovery_attempts=None)
        async def work(job_id: str) -> None:
            await self._job(job_id)

        DBOS.listen_queues([QUEUE, SHORT_QUEUE])
        DBOS.launch()
        for queue in (QUEUE, SHORT_QUEUE):
            DBOS.register_queue(
                queue,
                worker_concurrency=1,
                polling_interval_sec=self._settings.poll_s,
                on_conflict="always_update",
            )
        for body, name in ((self._beat, "heartbeat"), (self._inherit, "inheritance")):
            threading.Thread(target=body, daemon=True, name=name).start()
        log.info("worker %s of %s takes jobs", self.id, APPLICATION)

    def _register(self) -> None:
        with self._database.write() as session:
            job_queries.register_worker(session, self.id, host_name(), os.getpid())

    def serve(self) -> None:
        """Work until a signal ends the process."""

        def stop(_number: int, _frame: FrameType | None) -> None:
            self._ended.set()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        self.start()
        self._ended.wait()
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
                    self._watch(self._database, self._queue, self._settings)
            except PASSING as error:
                log.warning("looking for dead workers: %s", error)
                self._silence.forget()
            except Exception:
                log.exception("looking for dead workers failed")
            if self._ended.wait(self._settings.heartbeat_s):
                return

    def _die(self, status: int) -> None:
        """End at once, with all children: another worker takes the jobs over, or has done so."""
        for child in self._children.values():
            if child.pid is not None:
                kill_group(child.pid)
        logging.shutdown()
        os._exit(status)

    # --- jobs ------------------------------------------------------------------------------------

    async def _job(self, job_id: str) -> None:
        """The one workflow: a job from its start to its end."""
        from dbos import error as engine_error

        taken = await self._patiently(lambda: self._take(job_id), job_id)
        if taken is None:
            return
        kind, run = taken
        self._running.add(job_id)
        try:
            await self._jobs.load(kind)(run)
        except CancelledJobError:
            await self._end(run, "cancelled", None)
        except WaitingJobError as error:
            await run.close()
            settle = error.settle
            await self._patiently(lambda: self._rest(job_id, settle), job_id)
        except PASSING as error:
            log.warning("job %s is queued again: %s", job_id, error)
            await self._patiently(lambda: self._again(job_id), job_id)
        except engine_error.DBOSWorkflowCancelledError:
            await self._end(run, "cancelled", None)
            raise
        except engine_error.DBOSWorkflowConflictIDError:
            raise
        except WorkerLostError:
            log.exception("job %s belongs to another worker", job_id)
            self._die(LOST)
        except Exception as error:
            log.exception("job %s failed", job_id)
            code, message = failure(error, job_id)
            await self._end(run, "failed", (code, self._settings.public(message)))
        else:
            await self._end(run, "succeeded", None)
        finally:
            self._running.discard(job_id)
            self._clean_later()

    def _clean_later(self) -> None:
        """A worker without jobs frees the memory of its child processes."""

        async def clean() -> None:
            await asyncio.sleep(KEEP_CHILD_S)
            if not self._running:
                for child in self._children.values():
                    await child.kill()

        if self._cleaning is not None:
            self._cleaning.cancel()
        self._cleaning = asyncio.get_running_loop().create_task(clean(), context=contextvars.Context())

    def _take(self, job_id: str) -> tuple[str, WorkContext] | None:
        with self._database.write() as session:
            job_queries.require_alive(session, self.id)
            job = job_queries.locked_job(session, job_id)
            if job is None or job.state != "queued":
                return None
            job.worker_id = self.id
            job.attempts += 1
            job_queries.set_state(session, job, "running")
            run = WorkContext(
                self._database,
                self._settings,
                self.id,
                job_id,
                job.project_id,
                dict(job.params),
                self._children[job.short],
                self._clock,
            )
            run.share = job.done / job.total if job.total else 0.0
            return job.kind, run

    def _rest(self, job_id: str, settle: Settle) -> None:
        """Release a job that waits for devices; where they were faster it is queued at once."""
        with self._database.write() as session:
            job_queries.require_alive(session, self.id)
            job = job_queries.locked_job(session, job_id)
            if job is None or job.state != "running":
                return
            job_queries.rest(job)
            settle(session, self._queue)

    def _again(self, job_id: str) -> None:
        """Queue a job again that an outage of the database has stopped between two steps: no failed attempt."""
        with self._database.write() as session:
            job_queries.require_alive(session, self.id)
            job = job_queries.locked_job(session, job_id)
            if job is None or job.state != "running":
                return
            job_queries.rest(job)
            job_queries.wake(session, job)
            self._queue.enqueue(session, job)

    async def _patiently(self, work: Callable[[], T], job_id: str) -> T:
        return await asyncio.to_thread(patiently, work, f"job {job_id}", self._ended)

    async def _end(self, run: WorkContext, state: str, error: tuple[str, str] | None) -> None:
        await run.close()
        outcome = run.outcome if state == "succeeded" else None
        await self._patiently(lambda: self._record_end(run.id, state, error, outcome), run.id)

    def _record_end(
        self, job_id: str, state: str, error: tuple[str, str] | None, outcome: str | None
    ) -> None:
        with self._database.write() as session:
            job_queries.require_alive(session, self.id)
            job = job_queries.locked_job(session, job_id)
            if job is None or job.state in job_queries.FINAL:
                return
            if state == "succeeded":
                job.total = max(job.total, 1)
                job.done = job.total
                job.message = outcome or job.message
            job_queries.set_state(session, job, state, error=error)


def _is_news(record: logging.LogRecord) -> bool:
    """Leave out of the engine's log that a cancelled job was cancelled: that is no error."""
    from dbos import error as engine_error

    kind = record.exc_info[0] if isinstance(record.exc_info, tuple) else None
    return kind is None or not issubclass(kind, engine_error.DBOSAwaitedWorkflowCancelledError)
