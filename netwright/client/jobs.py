"""Durable work on the server, and waiting for it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Self, Unpack

from netwright.client.http import models
from netwright.client.http.connection import Connection
from netwright.client.http.decode import read
from netwright.client.http.requests import JobsQuery
from netwright.client.resource import Collection, Listing, Resource, checked
from netwright.errors import JobFailedError, NetwrightError, ServerError, UnreachableError, WaitTimeoutError
from netwright.progress import Shown, TrainingBar, bar

FINAL_STATES = ("succeeded", "failed", "cancelled")
LIVE_KINDS = ("train", "finetune", "convert", "convert_pretrained")  # whose progress bar is drawn from events
SILENCE_S = 60.0  # the service sends a comment every 15 s
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 1.0
DEFAULT_TIMEOUT_S = 24 * 3600.0
PATIENCE_S = 60.0  # how long a server may be away (restart, upgrade) during a wait
NO_WORKER_AFTER_S = 5.0  # queued for so long: ask whether a worker is running

OnProgress = Callable[["Job"], None]


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to a job: ``type`` is ``state``, ``progress``, ``step`` or ``log``; ``id`` orders them."""

    id: int
    type: str
    data: models.Object


def read_events(lines: Iterable[str]) -> Iterator[Event]:
    """The events of a stream of server-sent events; comments that keep it open are skipped."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        else:
            if {"id", "event", "data"} <= fields.keys():
                yield Event(int(fields["id"]), fields["event"], json.loads(fields["data"]))
            fields = {}


class Job(Resource, models.JobView):
    """A job of any kind: ``state``, ``progress``, ``message``, ``error``, ``result``, ``log``."""

    path: ClassVar[str] = "/v1/jobs"
    shown: ClassVar[tuple[str, ...]] = ("id", "kind", "state", "message", "created_at")

    @property
    def finished(self) -> bool:
        """Whether it has ended."""
        return self.state in FINAL_STATES

    def wait(self, timeout: float = DEFAULT_TIMEOUT_S, progress: OnProgress | bool | None = None) -> Job:
        """Wait until the job has succeeded; raises :class:`JobFailedError` or :class:`WaitTimeoutError`.

        ``timeout`` in seconds. ``progress`` is called with the job after every look at it; True draws a bar. An
        interrupted wait does not stop the job.
        """
        try:
            if progress is not True:
                return self._wait(timeout, progress or (lambda _: None))
            with bar() as show:
                if self.kind in LIVE_KINDS:
                    return self._follow(timeout, TrainingBar(show))
                return self._wait(timeout, lambda job: show(job.progress_shown()))
        except KeyboardInterrupt as stop:
            stop.add_note(
                f"job {self.id} continues: `netwright jobs watch {self.id}` shows it again, "
                f"`netwright jobs cancel {self.id}` stops it"
            )
            raise

    def progress_shown(self) -> Shown:
        """What a progress bar shows of it."""
        done = self.progress
        return Shown(self.message or self.state, done.done, done.total, done.eta_s)

    def events(self, after: int = 0, silence: float = SILENCE_S) -> Iterator[Event]:
        """Its events after the event ``after``, as they happen, until the job has ended.

        ``silence`` is the longest pause of the connection, in seconds.
        """
        lines = self._connection.lines(f"{self.path}/{self.id}/events", {"after": after}, silence)
        return read_events(lines)

    def cancel(self) -> Job:
        """Stop it; its finished steps are kept."""
        return self._do("cancel")

    def resume(self) -> Job:
        """Continue a failed or cancelled job after its last finished step."""
        return self._do("resume")

    def update(self, *, priority: int) -> Job:
        """Change its priority, -100 to 100: of a project's queued jobs those of higher priority are taken first."""
        answer = self._connection.patch(f"{self.path}/{self.id}", {"priority": priority})
        vars(self).update(vars(Job.of(self._connection, answer)))
        return self

    def _do(self, verb: str) -> Job:
        answer = self._connection.post(f"{self.path}/{self.id}:{verb}")
        vars(self).update(vars(Job.of(self._connection, answer)))
        return self

    def _wait(self, timeout: float, progress: OnProgress) -> Job:
        began = last_answer = time.monotonic()
        pause = FIRST_PAUSE_S
        while time.monotonic() < began + timeout:
            try:
                self.refresh()
                if self.state == "queued" and time.monotonic() - began > NO_WORKER_AFTER_S:
                    self.message = self._why_queued()
            except (UnreachableError, ServerError):
                if time.monotonic() - last_answer > PATIENCE_S:
                    raise
            else:
                last_answer = time.monotonic()
                progress(self)
                if self.finished:
                    return self._checked()
            time.sleep(max(0.0, min(pause, began + timeout - time.monotonic())))
            pause = min(pause * 1.5, LONGEST_PAUSE_S)
        raise self._too_late(timeout)

    def _why_queued(self) -> str:
        """What a queued job waits for: a worker, or the jobs before it."""
        if not readiness(self._connection).workers:
            return "queued: no worker is running; start one on the server with `netwright worker`"
        running = [f"{job.kind} {job.id}" for job in Jobs(self._connection).list(state="running")[:3]]
        return f"queued behind {', '.join(running)}" if running else "queued"

    def _follow(self, timeout: float, draw: Callable[[str, models.Object], None]) -> Job:
        """Like :meth:`_wait`, from the job's events; a broken stream is continued."""
        deadline, seen, broken = time.monotonic() + timeout, 0, 0.0
        while time.monotonic() < deadline:
            try:
                left = min(SILENCE_S, max(1.0, deadline - time.monotonic()))
                for event in self.events(seen, left):
                    seen, broken = event.id, 0.0
                    draw(event.type, event.data)
                    if time.monotonic() >= deadline:
                        break
                self.refresh()
                broken = 0.0
                if self.finished:
                    return self._checked()
            except (UnreachableError, ServerError):
                broken = broken or time.monotonic()
                if time.monotonic() - broken > PATIENCE_S:
                    raise
            time.sleep(max(0.0, min(LONGEST_PAUSE_S, deadline - time.monotonic())))
        raise self._too_late(timeout)

    def _too_late(self, timeout: float) -> WaitTimeoutError:
        return WaitTimeoutError(
            f"job {self.id} is {self.state} after {timeout:g} s of waiting; it continues, wait for it again with "
            f"`netwright jobs watch {self.id}`"
        )

    def _checked(self) -> Job:
        if self.state == "succeeded":
            return self
        code, message = (self.error.code, self.error.message) if self.error else ("", self.message)
        raise JobFailedError(self.id, self.state, code, message or "no reason was recorded", self.log)


class Pending(Resource):
    """A resource that a job makes; it can be read before it is finished, and waited for."""

    state: str

    @property
    def job(self) -> Job:
        """The job that makes it."""
        job: str | None = getattr(self, "job_id", None)
        if job is None:
            raise NetwrightError(f"{self!r} was made without a job")
        return Jobs(self._connection).get(job)

    def wait(self, timeout: float = DEFAULT_TIMEOUT_S, progress: OnProgress | bool | None = None) -> Self:
        """Wait until it is finished; see :meth:`Job.wait`."""
        if self.state != "succeeded":
            self.job.wait(timeout, progress)
            self.refresh()
        return self


class Jobs(Collection[Job]):
    """``client.jobs``."""

    kind, noun = Job, "job"

    def list(self, **filters: Unpack[JobsQuery]) -> Listing[Job]:
        """All jobs, newest first."""
        return self._listed(checked(filters, JobsQuery))

    def started(self, answer: models.Object) -> Job:
        """The job of an answer 202."""
        return self.get(answer["job"]["id"])


def readiness(connection: Connection) -> models.Readiness:
    """Whether the server can work, and how many workers are running."""
    return read(models.Readiness, connection.get("/readyz"))
