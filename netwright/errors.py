"""What can go wrong on the user's side of the API; every message says the rule, what was got, and the choices.

::

    NetwrightError
    ├── UnreachableError       nobody answers at the server's address, or the connection broke
    ├── WaitTimeoutError       a job did not finish within the time the caller gave it
    ├── JobFailedError         a job ended as failed or cancelled; carries its error and log
    ├── NoSuchPointError       a front has no point that meets what was asked of it
    ├── IntegrityError         a downloaded file is not the one the server announced
    └── ApiError               the server refused (problem+json)
        ├── InvalidRequestError    400, 413, 415, 422: what was sent breaks a rule
        ├── NotAllowedError        401, 403: the key is missing or may not do this
        ├── NotFoundError          404
        ├── ConflictError          409: not now, or not in this state
        └── ServerError            5xx: the server's own fault
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class NetwrightError(Exception):
    """Base class of everything the client raises on purpose."""


class UnreachableError(NetwrightError):
    """Nobody answers at the server's address, or the connection broke."""


class WaitTimeoutError(NetwrightError):
    """A job did not finish within the time the caller gave it; the job itself goes on."""


class JobFailedError(NetwrightError):
    """A job ended as failed or cancelled.

    ``code`` and ``message`` are the job's own error; ``log`` its last lines.
    """

    def __init__(self, job_id: str, state: str, code: str, message: str, log: Sequence[str] = ()) -> None:
        self.job_id, self.state, self.code, self.message, self.log = job_id, state, code, message, tuple(log)
        super().__init__(f"job {job_id} ended as {state}: {message}" + (f" [{code}]" if code else ""))


class NoSuchPointError(NetwrightError):
    """A front has no point that meets what was asked of it."""


class IntegrityError(NetwrightError):
    """A downloaded file does not have the hash that the server announced; nothing was kept."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that breaks a rule: what was got, and what is allowed."""

    field: str
    message: str = ""
    got: Any = None
    allowed: Any = None

    def __str__(self) -> str:
        parts = [f"{self.field or 'request'}: {self.message}" if self.message else self.field or "request"]
        if self.got is not None:
            parts.append(f"got {self.got!r}")
        if self.allowed not in (None, "", []):
            allowed = self.allowed
            choices = ", ".join(map(str, allowed)) if isinstance(allowed, list) else str(allowed)
            parts.append(f"allowed: {choices}")
        return "; ".join(parts)


class ApiError(NetwrightError):
    """The server refused.

    ``status`` is the HTTP status, ``code`` a short stable name, ``detail`` the sentence for people,
    ``fields`` the fields that break a rule, and ``actions`` the requests that would help.
    """

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str,
        fields: Sequence[FieldError] = (),
        actions: Sequence[str] = (),
    ) -> None:
        self.status, self.code, self.title, self.detail = status, code, title, detail
        self.fields, self.actions = tuple(fields), tuple(actions)
        head = detail or title or f"HTTP {status}"
        super().__init__("\n  ".join([f"{head} [{status} {code}]", *map(str, self.fields)]))


class InvalidRequestError(ApiError):
    """What was sent breaks a rule."""


class NotAllowedError(ApiError):
    """The key is missing, unknown, or may not do this."""


class NotFoundError(ApiError):
    """There is no such thing."""


class ConflictError(ApiError):
    """Not now, or not in this state."""


class ServerError(ApiError):
    """The server's own fault."""


def from_problem(status: int, problem: Mapping[str, Any]) -> ApiError:
    """The exception for an answer with this HTTP status and problem+json body (RFC 9457)."""
    fields = [
        FieldError(
            field=str(row.get("field", "")),
            message=str(row.get("message", "")),
            got=row.get("got"),
            allowed=row.get("allowed"),
        )
        for row in problem.get("errors") or ()
        if isinstance(row, Mapping)
    ]
    return _class_for(status)(
        status,
        str(problem.get("code", "")),
        str(problem.get("title", "")),
        str(problem.get("detail") or ""),
        fields,
        [request_of(row) for row in problem.get("actions") or () if isinstance(row, Mapping)],
    )


def request_of(action: Mapping[str, Any]) -> str:
    """``{method, path, body}`` on one line."""
    body = json.dumps(action["body"]) if action.get("body") else ""
    return f"{action.get('method', '')} {action.get('path', '')} {body}".strip()


def _class_for(status: int) -> type[ApiError]:
    by_status = {401: NotAllowedError, 403: NotAllowedError, 404: NotFoundError, 409: ConflictError}
    if status in by_status:
        return by_status[status]
    return ServerError if status >= 500 else InvalidRequestError
