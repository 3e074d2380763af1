"""Durable work."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from service.http.schemas import Body, Priority, Stamped
from service.problems import View

JobState = Literal["queued", "running", "succeeded", "failed", "cancelling", "cancelled"]


class Progress(View):
    """How far a job is; ``eta_s`` is null until it can be estimated."""

    done: int
    total: int
    eta_s: float | None


class JobError(View):
    """Why a job failed; code ``parked`` means too many workers died on it."""

    code: str
    message: str


class ResourceRef(View):
    """What a job makes."""

    type: str
    id: str
    href: str


class JobTime(View):
    """Seconds under a living worker, and, not part of these, of waiting for devices and for a busy machine."""

    active_s: float
    waited_for_devices_s: float
    waited_for_machine_s: float


class JobView(Stamped):
    """A job of any kind."""

    kind: str
    state: JobState
    priority: Priority
    progress: Progress
    message: str | None = Field(description="What it is doing")
    error: JobError | None
    resource: ResourceRef | None
    result: dict[str, object] | None = Field(
        None,
        description="Results of kinds of job that make no resource, e.g. the rows that were refused",
    )
    waiting_for: str | None = Field(
        None, description="What a job that does not run waits for: a worker, jobs before it, or devices"
    )
    time: JobTime | None = Field(None, description="Where its time went; null in lists")
    attempts: int
    started_at: datetime | None
    finished_at: datetime | None
    log: list[str] = Field(default_factory=list, description="Last lines; empty in lists")


class JobUpdate(Body):
    """What may change of a job that has not ended."""

    priority: Priority


class EventView(View):
    """An event of a job; its ``id`` resumes a stream (``Last-Event-ID``)."""

    id: int
    type: Literal["state", "progress", "step", "log"]
    at: datetime
    data: dict[str, object]
