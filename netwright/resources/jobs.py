"""Durable work on the server, and waiting for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from netwright.connection import JSON, Connection
from netwright.errors import JobFailedError, NetwrightError, ServerError, UnreachableError, WaitTimeoutError
from netwright.progress import bar
from netwright.resources.events import Event, read_events
from netwright.resources.resource import Resource
from netwright.training_bar import TrainingBar

FINAL_STATES = ("succeeded", "failed", "cancelled")
LIVE_KINDS = ("train",)  # whose bar is drawn from what the job tells, not only from how far it is
SILENCE_S = 60.0  # the service breaks it every 15 s
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 1.0
DEFAULT_TIMEOUT_S = 24 * 3600.0
PATIENCE_S = 60.0  # how long a server may be away (restart, upgrade) while somebody waits for a job of it

OnProgress = Callable[["Job"], None]


class Job(Resource):
    """A job of any kind: ``state``, ``progress {done, total, eta_s}``, ``message``, ``error``, ``log``."""

    def __init__(self, data: JSON, jobs: Jobs) -> None:
        super().__init__(data)
        self._jobs = jobs

    @property
    def state(self) -> str:
        """``queued running succeeded failed cancelling cancelled``."""
        return str(self.data["state"])

    @property
    def finished(self) -> bool:
        """Whether it will not change any more by itself."""
        return self.state in FINAL_STATES

    def refresh(self) -> Job:
        """Ask the server again."""
        self.data = self._jobs.get(self.id).data
        return self

    def wait(self, timeout: float = DEFAULT_TIMEOUT_S, progress: OnProgress | bool | None = None) -> Job:
        """Wait until the job has succeeded; raises :class:`JobFailedError` or :class:`WaitTimeoutError`.

        ``timeout`` in seconds. ``progress`` is called with the job at every look, or True to draw a bar. A wait
        that is interrupted says how to go on; the job itself goes on.
        """
        try:
            if progress is not True:
                return self._wait(timeout, progress or (lambda _: None))
            with bar() as show:
                if self.data.get("kind") in LIVE_KINDS:
                    return self._follow(timeout, TrainingBar(show))
                return self._wait(timeout, lambda job: show(job.data))
        except KeyboardInterrupt as stop:
            stop.add_note(
                f"job {self.id} goes on: `netwright jobs watch {self.id}` shows it again, "
                f"`netwright jobs cancel {self.id}` stops it"
            )
            raise

    def events(self, after: int = 0) -> Iterator[Event]:
        """What it has told after the event ``after``, and tells from now on; ends with the job."""
        return self._jobs.events(self.id, after)

    def _wait(self, timeout: float, progress: OnProgress) -> Job:
        deadline, pause = time.monotonic() + timeout, FIRST_PAUSE_S
        last_answer = time.monotonic()
        while time.monotonic() < deadline:
            try:
                self.refresh()
            except (UnreachableError, ServerError):
                if time.monotonic() - last_answer > PATIENCE_S:
                    raise
            else:
                last_answer = time.monotonic()
                progress(self)
                if self.finished:
                    return self._checked()
            time.sleep(max(0.0, min(pause, deadline - time.monotonic())))
            pause = min(pause * 1.5, LONGEST_PAUSE_S)
        raise self._too_late(timeout)

    def _follow(self, timeout: float, tell: Callable[[Event], None]) -> Job:
        """Like :meth:`_wait`, by the job's events; a stream that breaks is gone on with."""
        deadline, seen, broken = time.monotonic() + timeout, 0, 0.0
        while time.monotonic() < deadline:
            try:
                left = min(SILENCE_S, max(1.0, deadline - time.monotonic()))
                for event in self._jobs.events(self.id, seen, left):
                    seen, broken = event.id, 0.0
                    if event.type == "state":
                        self.data = {**self.data, "state": event.data["state"]}
                    tell(event)
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
            f"job {self.id} is {self.state} after {timeout:g} s of waiting; it goes on, wait for it again"
        )

    def _checked(self) -> Job:
        if self.state == "succeeded":
            return self
        error = self.data.get("error") or {}
        message = error.get("message") or self.data.get("message") or "no reason given"
        raise JobFailedError(self.id, self.state, error.get("code", ""), message, self.data.get("log") or ())

    def cancel(self) -> Job:
        """Stop it; what it has finished stays."""
        self.data = self._jobs.cancel(self.id).data
        return self

    def resume(self) -> Job:
        """Let a failed or cancelled job go on after its last finished step."""
        self.data = self._jobs.resume(self.id).data
        return self


class Jobs:
    """``client.jobs``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, id: str) -> Job:
        """The job with this id."""
        return Job(self._connection.get(f"/v1/jobs/{id}"), self)

    def list(self, *, kind: str | None = None, state: str | None = None) -> Iterator[Job]:
        """All jobs, newest first."""
        for row in self._connection.pages("/v1/jobs", {"kind": kind, "state": state}):
            yield Job(row, self)

    def events(self, id: str, after: int = 0, silence: float = SILENCE_S) -> Iterator[Event]:
        """Events of a job after the event ``after``, as they come, until the job has ended.

        ``silence`` is how long the connection may say nothing, in seconds.
        """
        return read_events(self._connection.lines(f"/v1/jobs/{id}/events", {"after": after}, silence))

    def cancel(self, id: str) -> Job:
        """Stop a job."""
        return Job(self._connection.post(f"/v1/jobs/{id}:cancel"), self)

    def resume(self, id: str) -> Job:
        """Let a failed or cancelled job go on after its last finished step."""
        return Job(self._connection.post(f"/v1/jobs/{id}:resume"), self)

    def started(self, answer: JSON) -> Job:
        """The job that an answer to a POST names."""
        job = answer["job"]
        return self.get(job["id"] if isinstance(job, dict) else job)


class Pending(Resource):
    """A resource that a job makes; it can be looked at before, and waited for."""

    _jobs: Jobs

    def refresh(self) -> None:
        """Ask the server again."""
        raise NotImplementedError

    @property
    def job(self) -> Job:
        """The job that makes it."""
        if not self.data.get("job"):
            raise NetwrightError(f"{self!r} was made without a job")
        return self._jobs.started(self.data)

    @property
    def state(self) -> str:
        """State of the job that makes it."""
        return str(self.data["state"])
