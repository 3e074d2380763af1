"""Answers that a client has already, or receives compressed: ``ETag``, ``If-None-Match`` and gzip on JSON."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.middleware.asgi import began_with, is_http, method_of, path_of

SMALLEST_GZIP = 1024  # bytes; below, compression saves no packet
LEVEL = 3  # higher ones take several times as long for a few percent
WHOLE = ("/v1/artifacts/",)
"""Paths of files, which keep their size, their ranges and their tag."""
JSON = "application/json"
REVALIDATE = "private, no-cache"


def has(header: str | None, tag: str) -> bool:
    """Whether ``If-None-Match`` names a tag; weak and strong tags compare equal, as RFC 9110 defines for it."""
    given = [each.strip().removeprefix("W/") for each in (header or "").split(",")]
    return "*" in given or tag.removeprefix("W/") in given


@dataclass(frozen=True)
class Tagged:
    """ASGI middleware: the JSON of a GET has a tag of its content; 304 where the client names that tag."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and look at the answer."""
        if not is_http(scope) or method_of(scope) != "GET":
            await self.app(scope, receive, send)
            return
        answer = _Answer(Headers(scope=scope).get("if-none-match"), send)
        await self.app(scope, receive, answer.send)


class _Answer:
    """An answer whose beginning is held back until its content is known."""

    def __init__(self, known: str | None, send: Send) -> None:
        self._known, self._send, self._held = known, send, None

    _held: Message | None

    async def send(self, message: Message) -> None:
        """Send a message, or hold it back."""
        status = began_with(message)
        if status is not None:
            headers = Headers(raw=message["headers"])
            if status == 200 and headers.get("content-type", "").startswith(JSON):
                self._held = message
                return
        elif self._held is not None:
            start, self._held = self._held, None
            if not message.get("more_body", False):
                message = self._tagged(start, message)
            await self._send(start)
        await self._send(message)

    def _tagged(self, start: Message, message: Message) -> Message:
        """Write the tag into the headers; returns the body, which is empty where the client has it."""
        body = message.get("body", b"")
        tag = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = MutableHeaders(raw=start["headers"])
        headers["ETag"] = tag
        headers.setdefault("Cache-Control", REVALIDATE)
        if has(self._known, tag):
            start["status"] = 304
            for name in ("content-length", "content-type"):
                del headers[name]
            body = b""
        start["headers"] = headers.raw
        return {**message, "body": body}


class Compressed:
    """ASGI middleware: gzip for clients that accept it, except on files."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._gzip = GZipMiddleware(app, minimum_size=SMALLEST_GZIP, compresslevel=LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        whole = not is_http(scope) or path_of(scope).startswith(WHOLE)
        await (self._app if whole else self._gzip)(scope, receive, send)
