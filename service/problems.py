"""The one shape of every error answer, and of the requests that would help."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class View(BaseModel):
    """A response body."""

    model_config = ConfigDict(protected_namespaces=())


class FieldProblem(View):
    """One thing that is wrong with a request."""

    field: str = Field(description="Path to the value, e.g. constraints.0.max")
    got: object = Field(None, description="The value that was sent, shortened")
    allowed: object = Field(None, description="The rule, or the choices")


class Action(View):
    """The request that would help."""

    method: Literal["GET", "POST"]
    path: str
    body: dict[str, Any] = Field(default_factory=dict)


class Problem(View):
    """RFC 9457 problem details: the one shape of every error."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str | None = Field(
        None, description="Of an error of the service: what its log has under this id"
    )
    errors: list[FieldProblem] = Field(default_factory=list)
    actions: list[Action] = Field(default_factory=list)


GOT_LIMIT = 300


def plain(value: object) -> object:
    """A value that was got, as JSON that is short, without NaN and without text that UTF-8 cannot encode."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else repr(value)[:GOT_LIMIT]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return value[:GOT_LIMIT].encode("utf-8", "backslashreplace").decode()
    try:
        text = repr(value)
    except RecursionError:
        text = type(value).__name__
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= GOT_LIMIT else text[: GOT_LIMIT - 1] + "…"
