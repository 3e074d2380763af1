"""What can go wrong on the user's side of the API; every message states the rule, what was got, and the choices.

::

    NetwrightError
    ├── UnreachableError       no answer at the server's address, or the connection broke
    ├── WaitTimeoutError       a job did not finish within the given time
    ├── JobFailedError         a job ended as failed or cancelled; carries its error and log
    ├── NoSuchPointError       a front has no point that meets the limits
    ├── IntegrityError         a downloaded file is not the one the server announced
    └── ApiError               the server refused (problem+json)
        ├── InvalidRequestError    400, 413, 415, 422: the request breaks a rule
        ├── NotAllowedError        401, 403: the key is missing or may not do this
        ├── NotFoundError          404
        ├── ConflictError          409: not now, or not in this state
        └── ServerError            5xx: the server's own fault
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

KEY_HINT = "the server needs a key: --key, NETWRIGHT_KEY, or in Python Client(key=...)"

GOT_LENGTH = 100
WORD = 3
"""Characters from which on a value that a sentence contains is no coincidence."""
"""Longer values, such as a whole request, are not repeated in a message."""


class NetwrightError(Exception):
    """Base class of everything the client raises on purpose."""


class UnreachableError(NetwrightError):
    """No answer at the server's address, or the connection broke."""


class WaitTimeoutError(NetwrightError):
    """A job did not finish within the given time; the job itself continues."""


class JobFailedError(NetwrightError):
    """A job ended as failed or cancelled.

    ``code`` and ``message`` are the job's own error; ``log`` its last lines.
    """

    def __init__(self, job_id: str, state: str, code: str, message: str, log: Sequence[str] = ()) -> None:
        self.job_id, self.state, self.code, self.message, self.log = job_id, state, code, message, tuple(log)
        super().__init__(f"job {job_id} ended as {state}: {message}" + (f" [{code}]" if code else ""))


class NoSuchPointError(NetwrightError):
    """A front has no point that meets the limits."""


class IntegrityError(NetwrightError):
    """A downloaded file does not have the hash that the server announced; it was not kept."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that breaks a rule: what was got, and what is allowed."""

    field: str
    got: object = None
    allowed: object = None

    def __str__(self) -> str:
        allowed = ", ".join(map(str, self.allowed)) if isinstance(self.allowed, list) else str(self.allowed)
        got = "" if ", got " in str(allowed) else self._got()  # a rule may state itself what it refuses
        return ", ".join(filter(None, [f"{self.field}: {allowed}", got]))

    def missing_from(self, sentence: str) -> str:
        """What a sentence about this field lacks: nothing, what was got, or all of it."""
        got = str(self.got), json.dumps(self.got, default=str)
        said = ", got " in sentence or any(text in sentence for text in got)
        if self.field in sentence:
            return "" if said else self._got()
        return "" if isinstance(self.got, str) and len(self.got) >= WORD and said else str(self)

    def _got(self) -> str:
        return "" if self.got is None or len(repr(self.got)) > GOT_LENGTH else f"got {self.got!r}"


@dataclass(frozen=True, slots=True)
class Action:
    """A request that would help."""

    method: str
    path: str
    body: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.path} {json.dumps(self.body) if self.body else ''}".strip()


class ApiError(NetwrightError):
    """The server refused.

    ``status`` is the HTTP status, ``code`` a short stable name, ``detail`` the sentence for people, ``fields`` the
    fields that break a rule, and ``actions`` the requests that would help.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        fields: Sequence[FieldError] = (),
        actions: Sequence[Action] = (),
    ) -> None:
        self.status, self.code, self.detail = status, code, detail
        self.fields, self.actions = tuple(fields), tuple(actions)
        super().__init__(f"{self._sentence()} [{status} {code}]")

    def _sentence(self) -> str:
        """Each rule once: the server's sentence, and of the fields what it does not contain."""
        if self.fields and all(f"{each.field}: {each.allowed}" in self.detail for each in self.fields):
            return "; ".join(map(str, self.fields))
        more = filter(None, (each.missing_from(self.detail) for each in self.fields))
        return "; ".join([self.detail or f"HTTP {self.status}", *more])


class InvalidRequestError(ApiError):
    """The request breaks a rule."""


class NotAllowedError(ApiError):
    """The key is missing, unknown, or may not do this."""


class NotFoundError(ApiError):
    """There is no such thing."""


class ConflictError(ApiError):
    """Not now, or not in this state."""


class ServerError(ApiError):
    """The server's own fault."""


BY_STATUS = {401: NotAllowedError, 403: NotAllowedError, 404: NotFoundError, 409: ConflictError}


def from_problem(status: int, problem: Mapping[str, object]) -> ApiError:
    """The exception for an answer with this HTTP status and problem+json body (RFC 9457)."""
    kind = BY_STATUS.get(status, ServerError if status >= 500 else InvalidRequestError)
    fields = [
        FieldError(str(row.get("field", "request")), row.get("got"), row.get("allowed"))
        for row in _rows(problem.get("errors"))
    ]
    actions = [
        Action(str(row.get("method", "")), str(row.get("path", "")), row.get("body") or {})
        for row in _rows(problem.get("actions"))
    ]
    detail = str(problem.get("detail") or problem.get("title") or "")
    if status == 401:
        detail = f"{detail}; {KEY_HINT}" if detail else KEY_HINT
    return kind(status, str(problem.get("code", "")), detail, fields, actions)


def _rows(value: object) -> list[Mapping[str, Any]]:
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []
