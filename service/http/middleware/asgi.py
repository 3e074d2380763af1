"""What middleware reads of a request and of the messages of its answer."""

from __future__ import annotations

from starlette.types import Message, Scope


def is_http(scope: Scope) -> bool:
    """Whether it is a request over HTTP."""
    return str(scope["type"]) == "http"


def method_of(scope: Scope) -> str:
    """The method, in capitals."""
    return str(scope["method"])


def path_of(scope: Scope) -> str:
    """The path, with escapes decoded."""
    return str(scope["path"])


def query_of(scope: Scope) -> bytes:
    """The query as it was sent, without the question mark."""
    return bytes(scope["query_string"])


def began_with(message: Message) -> int | None:
    """The status, of the message that begins an answer; None of any other."""
    return int(message["status"]) if message["type"] == "http.response.start" else None
