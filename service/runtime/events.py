"""Streams of job events: one poller a process reads new rows and hands them to every listener."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from service.db import queries
from service.db.session import Database
from service.db.tables import Job, JobEvent
from service.errors import DatabaseUnavailableError, InvalidError
from service.runtime import job_queries

KEEP_ALIVE_S = 15.0
RETRY_S, LONGEST_OUTAGE_S = 1.0, 20.0
LAST_ID = 2**63 - 1
log = logging.getLogger("netwright.api")
BACKLOG = 1000


@dataclass(eq=False)
class Listener:
    """One open stream; ``None`` in its queue ends it."""

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
        """Read new events while there are listeners. No error ends this: the affected streams end instead."""
        failing_since: float | None = None
        while self._listeners:
            listeners = list(self._listeners)
            try:
                events, final = await asyncio.to_thread(self._look, listeners)
            except DatabaseUnavailableError as error:
                now = asyncio.get_running_loop().time()
                failing_since = failing_since or now
                if now - failing_since >= LONGEST_OUTAGE_S:
                    log.warning("%d streams of events end: %s", len(listeners), error)
                    self._end(listeners)
                    failing_since = None
                await asyncio.sleep(RETRY_S)
                continue
            except Exception:
                log.exception("%d streams of events end", len(listeners))
                self._end(listeners)
                await asyncio.sleep(RETRY_S)
                continue
            failing_since = None
            for listener in listeners:
                self._hand_out(listener, events, listener.job in final)
            await asyncio.sleep(0 if len(events) == BACKLOG else self._poll_s)

    @staticmethod
    def _end(listeners: list[Listener]) -> None:
        """Close streams before the final state of their jobs: clients connect again, after the last event seen."""
        for listener in listeners:
            listener.closed = True
            while listener.queue.full():
                listener.queue.get_nowait()
            listener.queue.put_nowait(None)

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


def event_id(header: str) -> int:
    """The id in a ``Last-Event-ID`` header; raises :class:`InvalidError` for anything else."""
    if re.fullmatch(r"[0-9]{1,19}", header) is None or int(header) > LAST_ID:
        raise InvalidError("Last-Event-ID", header, "the id of an event")
    return int(header)
