"""What every request passes before a route sees it.

In this order, so that a stranger costs as little as possible: the host and origin it is addressed to, its path and
query, its key, its media type, and only then its body, which is read within a size and a time.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import logs
from service.errors import ForbiddenError, MediaTypeError, SlowRequestError, TooLargeError
from service.hosts import is_allowed
from service.http.answers import answer
from service.http.caller import Caller
from service.http.middleware.asgi import began_with, is_http, method_of, path_of, query_of
from service.http.quotas import Rate
from service.http.text import check_text, parse_json
from service.ids import new_id

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
SAFE = ("GET", "HEAD", "OPTIONS")
MAX_PATH = 1000  # characters
MAX_PARAMETERS = 100
MAX_BODY = 1 << 20
LARGE_BODY = 8 << 20
WITH_LARGE_BODY = re.compile(
    r"/v1/(supernets|conversions|conversions:examine|predictors|supernets/[^/]+/evaluations|targets/[^/]+/measurements|measurements:import)"
)
PARSED_HERE = 64 << 10  # bytes; larger bodies are parsed in a thread
Authorise = Callable[[str | None, str, str], Caller]


@dataclass(frozen=True)
class Guard:
    """ASGI middleware: refuses requests by their headers, reads and checks bodies, answers what a route raises.

    ``authorise`` takes the Authorization header, the method and the path of a request to the API, and returns who
    sends it; it may block. That is in ``request.state.caller``, and an id of the request in
    ``request.state.request_id`` and in the header ``X-Request-ID``. ``rate`` limits the requests of each key.
    """

    app: ASGIApp
    allowed_hosts: Sequence[str]
    authorise: Authorise
    body_timeout_s: float
    rate: Rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a good request on, answer a bad one."""
        if not is_http(scope):
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        logs.request_id.set(exchange.request_id)
        try:
            await self._check(scope, receive, exchange)
            await self.app(scope, exchange.receive, exchange.send)
        except Exception as error:
            response = answer(error, exchange.request_id)
            if exchange.started:
                raise
            if exchange.unread:  # the client need not send the rest
                response.headers["Connection"] = "close"
            await response(scope, receive, exchange.send)

    async def _check(self, scope: Scope, receive: Receive, exchange: _Exchange) -> None:
        headers = Headers(scope=scope)
        self._check_names(headers)
        _check_target(scope)
        path, method = path_of(scope), method_of(scope)
        exchange.unread = _has_body(headers)
        if path.startswith("/v1/"):
            key = headers.get("authorization")
            caller = await run_in_threadpool(self.authorise, key, exchange.method, path)
            scope["state"]["caller"] = caller
            self.rate.take(caller)
        if method in SAFE:
            return
        limit = LARGE_BODY if WITH_LARGE_BODY.fullmatch(path) else MAX_BODY
        _check_body_headers(headers, limit)
        try:
            async with asyncio.timeout(self.body_timeout_s):
                body = await _read(receive, limit)
        except TimeoutError:
            raise SlowRequestError(
                f"a body must arrive within {self.body_timeout_s:g} s; send it faster, or in smaller parts"
            ) from None
        if len(body) > PARSED_HERE:
            await run_in_threadpool(parse_json, body)
        elif body:
            parse_json(body)
        exchange.body, exchange.unread = body, False

    def _check_names(self, headers: Headers) -> None:
        hosts = (*LOOPBACK, *self.allowed_hosts)
        host, origin = headers.get("host", ""), headers.get("origin")
        if not is_allowed(_name(f"//{host}"), hosts):
            raise ForbiddenError("forbidden_host", "Host", host, hosts)
        if origin is not None and not is_allowed(_name(origin), hosts):
            raise ForbiddenError("forbidden_origin", "Origin", origin, hosts)


class _Exchange:
    """A request and its answer: adds the request's id, replays a body that was read, leaves out that of a HEAD."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self.request_id, self.method = new_id("req"), method_of(scope)
        self.body: bytes | None = None
        self.unread = self.started = self._ended = False
        scope.setdefault("state", {})["request_id"] = self.request_id
        self._head = self.method == "HEAD"
        if self._head:
            scope["method"] = "GET"

    async def receive(self) -> Message:
        """The body that was read, then what comes."""
        if self.body is not None:
            body, self.body = self.body, None
            return {"type": "http.request", "body": body, "more_body": False}
        if self._ended:  # nothing more is sent: let a stream end
            return {"type": "http.disconnect"}
        return await self._receive()

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on."""
        begins = began_with(message) is not None
        if begins:
            self.started = True
            MutableHeaders(raw=message.setdefault("headers", []))["X-Request-ID"] = self.request_id
        if self._ended:
            return
        if self._head and begins:
            await self._send(message)
            self._ended = True
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)


def _check_target(scope: Scope) -> None:
    """The path and the query of a request."""
    check_text(path_of(scope), "path", MAX_PATH)
    query = query_of(scope).decode("ascii", "replace")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise TooLargeError(f"a query has at most {MAX_PARAMETERS} parameters") from None
    for name, value in pairs:
        check_text(name, "query")
        check_text(value, name)


def _check_body_headers(headers: Headers, limit: int) -> None:
    length = headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length[:20]) > limit:
        raise TooLargeError(f"the body of this request may have at most {limit} bytes, got {length[:20]}")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and (_has_body(headers) or kind):
        raise MediaTypeError(f"Content-Type must be application/json, got {kind or 'none'!r}")


def _has_body(headers: Headers) -> bool:
    return headers.get("content-length", "") not in ("", "0") or "transfer-encoding" in headers


async def _read(receive: Receive, limit: int) -> bytes:
    """The whole body; one that is longer than its length stated, or stated no length, is cut at the limit."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise SlowRequestError("the client closed the connection before the body was complete")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise TooLargeError(f"the body of this request may have at most {limit} bytes")
        if not message.get("more_body", False):
            return b"".join(parts)


def _name(url: str) -> str | None:
    try:
        name = urlsplit(url).hostname
    except ValueError:
        return None
    return f"[{name}]" if name is not None and ":" in name else name
