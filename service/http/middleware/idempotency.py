"""``Idempotency-Key``: a POST that is sent again, because its answer was lost, is not carried out again.

The first request with a key reserves it. The transaction that queues a job writes the job into the reservation, so that
a service that dies between the commit and the answer leaves what the answer is made from. A request that ended without
an effect, by an error of the service, gives its key back.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.db.session import Database
from service.db.tables import IdempotentRequest, Job, now
from service.errors import ConflictError, InvalidError
from service.http.jobs.views import accepted
from service.http.middleware.asgi import began_with, is_http, method_of, path_of, query_of
from service.http.text import check_text
from service.ids import new_id
from service.runtime.requests import CURRENT_REQUEST

HEADER = "idempotency-key"
MAX_KEY = 200  # characters
KEPT = timedelta(days=7)
ABANDONED = timedelta(minutes=2)
"""A request that has neither ended nor made a job for so long was lost with its process."""
REPLAYED = (b"idempotent-replayed", b"true")


@dataclass(frozen=True)
class _Stored:
    """The answer of the first request with a key."""

    status: int
    location: str | None
    body: bytes


class Idempotency:
    """ASGI middleware behind the guard, which has checked the key and read the body."""

    def __init__(self, app: ASGIApp, database: Database) -> None:
        self._app, self._database = app, database

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer as the first one with its key was answered."""
        key = Headers(scope=scope).get(HEADER) if is_http(scope) and method_of(scope) == "POST" else None
        caller = scope.get("state", {}).get("caller")
        if key is None or caller is None:
            await self._app(scope, receive, send)
            return
        check_text(key, "Idempotency-Key", MAX_KEY)
        message = await receive()
        content = f"{path_of(scope)}?{query_of(scope).decode('latin-1')}\n".encode() + message.get(
            "body", b""
        )
        digest = hashlib.sha256(content).hexdigest()
        found = await run_in_threadpool(self._reserve, caller.project, key, digest)
        if isinstance(found, _Stored):
            await _answer(found, scope, receive, send)
            return
        await self._carry_out(found, message, scope, receive, send)

    async def _carry_out(self, id: str, message: Message, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry a request out and store its answer."""
        recorder = _Recorder(message, receive, send)
        token = CURRENT_REQUEST.set(id)
        try:
            await self._app(scope, recorder.receive, recorder.send)
        except BaseException:
            await run_in_threadpool(self._give_back, id)
            raise
        finally:
            CURRENT_REQUEST.reset(token)
        if recorder.stored is None or recorder.stored.status >= 500:
            await run_in_threadpool(self._give_back, id)
        else:
            await run_in_threadpool(self._store, id, recorder.stored)

    def _reserve(self, project: str, key: str, digest: str) -> str | _Stored:
        """The id of a new reservation, or the answer that is stored under the key."""
        with self._database.write() as session:
            session.execute(sa.delete(IdempotentRequest).where(IdempotentRequest.created_at < now() - KEPT))
            query = sa.select(IdempotentRequest).where(
                IdempotentRequest.project_id == project, IdempotentRequest.key == key
            )
            row = session.scalar(query.with_for_update())
            if row is None:
                row = IdempotentRequest(id=new_id("idk"), project_id=project, key=key, sha256=digest)
                session.add(row)
                session.flush()
                return row.id
            if row.sha256 != digest:
                raise InvalidError(
                    "Idempotency-Key",
                    key,
                    "a new key for another request: this one was sent with another path or body",
                )
            stored = _stored(session, row)
            if stored is None and row.created_at > now() - ABANDONED:
                raise ConflictError(
                    "the first request with this Idempotency-Key has not ended; send it again later"
                )
            row.created_at = now()
            return stored or row.id

    def _store(self, id: str, stored: _Stored) -> None:
        with self._database.write() as session:
            row = session.get(IdempotentRequest, id)
            if row is not None:
                row.status, row.location, row.body = stored.status, stored.location, stored.body.decode()

    def _give_back(self, id: str) -> None:
        """Free the key of a request without an effect; one that queued a job keeps it."""
        condition = (IdempotentRequest.id == id, IdempotentRequest.job_id.is_(None))
        with self._database.write() as session:
            session.execute(sa.delete(IdempotentRequest).where(*condition))


class _Recorder:
    """Replays the body that was read, and keeps a copy of the answer."""

    def __init__(self, message: Message, receive: Receive, send: Send) -> None:
        self._message: Message | None = message
        self._receive, self._send = receive, send
        self.stored: _Stored | None = None

    async def receive(self) -> Message:
        message, self._message = self._message, None
        return message if message is not None else await self._receive()

    async def send(self, message: Message) -> None:
        status = began_with(message)
        if status is not None:
            location = Headers(raw=message.get("headers", [])).get("location")
            self.stored = _Stored(status, location, b"")
        elif self.stored is not None:
            body = self.stored.body + message.get("body", b"")
            self.stored = _Stored(self.stored.status, self.stored.location, body)
        await self._send(message)


def _stored(session: Session, row: IdempotentRequest) -> _Stored | None:
    """The stored answer; where the service died before it, the one that its job makes."""
    if row.status is not None:
        return _Stored(row.status, row.location, (row.body or "").encode())
    job = session.get(Job, row.job_id) if row.job_id is not None else None
    if job is None:
        return None
    body = accepted(job, job.resource_id).model_dump_json()
    return _Stored(202, f"/v1/jobs/{job.id}", body.encode())


async def _answer(stored: _Stored, scope: Scope, receive: Receive, send: Send) -> None:
    kind = "application/json" if stored.status < 400 else "application/problem+json"
    response = Response(stored.body, stored.status, media_type=kind if stored.body else None)
    if stored.location is not None:
        response.headers["Location"] = stored.location
    response.raw_headers.append(REPLAYED)
    await response(scope, receive, send)
