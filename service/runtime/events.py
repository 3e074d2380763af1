"""Streams of job events: one poller a process reads new rows and hands them to every listener."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from service.db import queries
from service.db.session import Database
from service.db.tables import Job, JobEvent
from service.runtime import job_queries

KEEP_ALIVE_S = 15.0
BACKLOG = 1000


@dataclass(eq=False)
class Listener:
    """One open stream; ``None`` in its queue means that the job has ended and nothing more will come."""

    job: str
    after: int
    queue: asyncio.Queue[JobEvent | None] = field(default_factory=lambda: asyncio.Queue(2 * BACKLOG))
    closed: bool = False


class EventHub:
    """Listeners of this process. Event ids are row ids, so any process can go on with a stream."""

    def __init__(self, database: Database, poll_s: float) -> None:
        self._database, self._poll_s = database, poll_s
        self._listeners: set[Listener] = set()
        self._poller: asyncio.Task[None] | None = None

    async def require(self, project: str, job: str) -> None:
        """Raise ``NotFoundError`` unless the project has this job."""

        def look() -> None:
            with self._database.read() as session:
                queries.get(session, project, Job, job)

        await asyncio.to_thread(look)

    async def stream(self, job: str, after: int) -> AsyncIterator[bytes]:
        """Server-sent events of a job after an event id, until its final state."""
        listener = Listener(job, after)
        self._listeners.add(listener)
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        try:
            while True:
                try:
                    event = await asyncio.wait_for(listener.queue.get(), KEEP_ALIVE_S)
                except TimeoutError:
                    yield b": keep-alive\n\n"
                    continue
                if event is None:
                    return
                yield encode(event)
        finally:
            self._listeners.discard(listener)

    async def _poll(self) -> None:
        while self._listeners:
            listeners = list(self._listeners)
            events, final = await asyncio.to_thread(self._look, listeners)
            for listener in listeners:
                self._hand_out(listener, events, listener.job in final)
            await asyncio.sleep(0 if len(events) == BACKLOG else self._poll_s)

    def _look(self, listeners: list[Listener]) -> tuple[list[JobEvent], set[str]]:
        cursors: dict[str, int] = {}
        for listener in listeners:
            if not listener.closed:
                cursors[listener.job] = min(listener.after, cursors.get(listener.job, listener.after))
        with self._database.read() as session:
            # States first: of a job that has ended by now, every event is there to be read.
            final = job_queries.finished_among(session, cursors)
            events = job_queries.events_after(session, cursors, BACKLOG)
            session.expunge_all()
        return events, final if len(events) < BACKLOG else set()

    @staticmethod
    def _hand_out(listener: Listener, events: list[JobEvent], ended: bool) -> None:
        if listener.closed:
            return
        for event in events:
            if event.job_id == listener.job and event.id > listener.after:
                if listener.queue.full():
                    return  # a slow reader: the row is read again when it has caught up
                listener.queue.put_nowait(event)
                listener.after = event.id
        if ended and not listener.queue.full():
            listener.queue.put_nowait(None)
            listener.closed = True


def encode(event: JobEvent) -> bytes:
    """An event as the lines of a server-sent event."""
    data = json.dumps({**event.data, "at": event.at.isoformat()})
    return f"id: {event.id}\nevent: {event.type}\ndata: {data}\n\n".encode()
