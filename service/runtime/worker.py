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
import time
from collections.abc import Callable
from types import FrameType

from service.db.session import Database
from service.errors import WorkerLostError
from service.ids import new_id
from service.runtime import job_queries
from service.runtime.context import CancelledJobError, Settle, WaitingJobError, WorkContext, failure
from service.runtime.engine import APPLICATION, QUEUE, WORKFLOW, Queue, engine_config
from service.runtime.process import Child, kill_group
from service.runtime.recovery import host_name, take_over
from service.settings import Settings
from supernets.registry import Registry

KEEP_CHILD_S = 120.0
LOST = 70  # exit status of a worker that was declared dead
log = logging.getLogger("netwright.worker")


class Worker:
    """One worker; it executes one job at a time, because a measurement needs the machine for itself."""

    def __init__(
        self,
        settings: Settings,
        jobs: Registry,
        watch: Callable[[Database, Queue, Settings], None] | None = None,
    ) -> None:
        """``jobs`` are the kinds of job; ``watch`` is called once a heartbeat, to look after waiting jobs."""
        self.id = new_id("wrk")
        self._settings, self._jobs, self._watch = settings, jobs, watch
        self._database = Database(settings.database)
        self._queue = Queue(self._database)
        self._child = Child(settings.threads)
        self._running: set[str] = set()
        self._forgetting: asyncio.Task[None] | None = None
        self._ended = threading.Event()

    def start(self) -> None:
        """Register, begin to beat, and take jobs; returns at once."""
        from dbos import DBOS

        with self._database.write() as session:
            job_queries.register_worker(session, self.id, host_name(), os.getpid())
        logging.getLogger("dbos").addFilter(_is_news)
        DBOS(config=engine_config(self._database, self.id, self._settings.log_level))  # type: ignore[arg-type]

        @DBOS.workflow(name=WORKFLOW, max_recovery_attempts=None)
        async def work(job_id: str) -> None:
            await self._job(job_id)

        DBOS.listen_queues([QUEUE])
        DBOS.launch()
        DBOS.register_queue(
            QUEUE,
            worker_concurrency=1,
            polling_interval_sec=self._settings.poll_s,
            on_conflict="always_update",
        )
        for body, name in ((self._beat, "heartbeat"), (self._inherit, "inheritance")):
            threading.Thread(target=body, daemon=True, name=name).start()
        log.info("worker %s of %s takes jobs", self.id, APPLICATION)

    def serve(self) -> None:
        """Work until a signal ends the process."""

        def stop(_number: int, _frame: FrameType | None) -> None:
            self._ended.set()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        self.start()
        self._ended.wait()
        with self._database.write() as session:
            job_queries.stop_worker(session, self.id)
        self._die(0)

    # --- life and death --------------------------------------------------------------------------

    def _beat(self) -> None:
        last = time.monotonic()
        while not self._ended.wait(self._settings.heartbeat_s):
            try:
                with self._database.write() as session:
                    alive = job_queries.beat(session, self.id)
                if not alive:
                    log.error("worker %s was declared dead; it stops", self.id)
                    self._die(LOST)
                last = time.monotonic()
            except Exception:
                log.exception("heartbeat failed")
                if time.monotonic() - last > self._settings.worker_timeout_s:
                    self._die(LOST)

    def _inherit(self) -> None:
        while True:
            try:
                take_over(self._database, self.id, self._settings)
                if self._watch is not None:
                    self._watch(self._database, self._queue, self._settings)
            except Exception:
                log.exception("looking after jobs that nobody has failed")
            if self._ended.wait(self._settings.heartbeat_s):
                return

    def _die(self, status: int) -> None:
        """End at once, with all children: another worker takes the jobs over, or has done so."""
        if self._child.pid is not None:
            kill_group(self._child.pid)
        logging.shutdown()
        os._exit(status)

    # --- jobs ------------------------------------------------------------------------------------

    async def _job(self, job_id: str) -> None:
        """The one workflow: whatever a job does happens in here."""
        from dbos import error as engine_error

        taken = await asyncio.to_thread(self._take, job_id)
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
            await asyncio.to_thread(self._rest, run.id, error.settle)
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
            await self._end(run, "failed", failure(error))
        else:
            await self._end(run, "succeeded", None)
        finally:
            self._running.discard(job_id)
            self._forget_later()

    def _forget_later(self) -> None:
        """A worker with nothing to do gives back the memory of its child process."""

        async def forget() -> None:
            await asyncio.sleep(KEEP_CHILD_S)
            if not self._running:
                await self._child.kill()

        if self._forgetting is not None:
            self._forgetting.cancel()
        self._forgetting = asyncio.get_running_loop().create_task(forget(), context=contextvars.Context())

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
                self._database, self._settings, self.id, job_id, job.project_id, dict(job.params), self._child
            )
            return job.kind, run

    def _rest(self, job_id: str, settle: Settle) -> None:
        """Let go of a job that waits for devices; unless they were faster, then it goes on at once."""
        with self._database.write() as session:
            job_queries.require_alive(session, self.id)
            job = job_queries.locked_job(session, job_id)
            if job is None or job.state != "running":
                return
            job_queries.rest(job)
            settle(session, self._queue)

    async def _end(self, run: WorkContext, state: str, error: tuple[str, str] | None) -> None:
        await run.close()
        outcome = run.outcome if state == "succeeded" else None
        await asyncio.to_thread(self._record_end, run.id, state, error, outcome)

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
    """Whether a line of the engine's log is one: that a cancelled job was cancelled is no error."""
    from dbos import error as engine_error

    kind = record.exc_info[0] if isinstance(record.exc_info, tuple) else None
    return kind is None or not issubclass(kind, engine_error.DBOSAwaitedWorkflowCancelledError)
