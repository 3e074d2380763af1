"""What is refused before any route sees it: other hosts, other origins, bodies that are no JSON."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import ForbiddenError, InvalidError, MediaTypeError, ServiceError, problem_of

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
SAFE = ("GET", "HEAD", "OPTIONS")
MAX_BODY = 8 << 20


class Guard:
    """ASGI middleware against request forgery and DNS rebinding, needed even without keys."""

    def __init__(self, app: ASGIApp, allowed_hosts: Sequence[str]) -> None:
        self._app = app
        self._hosts = (*LOOPBACK, *allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a good request on, answer a bad one."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope["method"], Headers(scope=scope))
        except ServiceError as error:
            await refuse(error)(scope, receive, send)
            return
        await self._app(scope, _limited(receive), send)

    def _check(self, method: str, headers: Headers) -> None:
        host = headers.get("host", "")
        if _name(f"//{host}") not in self._hosts:
            raise ForbiddenError("forbidden_host", "Host", host, self._hosts)
        origin = headers.get("origin")
        if origin is not None and _name(origin) not in self._hosts:
            raise ForbiddenError("forbidden_origin", "Origin", origin, self._hosts)
        if method in SAFE:
            return
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > MAX_BODY:
            raise InvalidError("body", f"{length} bytes", f"at most {MAX_BODY} bytes")
        has_body = length not in ("", "0") or "transfer-encoding" in headers
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json" and (has_body or kind):
            raise MediaTypeError(f"Content-Type must be application/json, got {kind or 'none'!r}")


def _limited(receive: Receive) -> Receive:
    """Cut a body that is longer than its length said, or said no length."""
    seen = 0

    async def limited() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > MAX_BODY:
            raise InvalidError("body", f"over {MAX_BODY} bytes", f"at most {MAX_BODY} bytes")
        return message

    return limited


def _name(url: str) -> str | None:
    try:
        name = urlsplit(url).hostname
    except ValueError:
        return None
    return f"[{name}]" if name is not None and ":" in name else name


def refuse(error: Exception) -> JSONResponse:
    """The answer for an error."""
    body = problem_of(error)
    return JSONResponse(
        body.model_dump(mode="json"), status_code=body.status, media_type="application/problem+json"
    )
