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

    field: str
    got: Any = None
    allowed: Any = None


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
    errors: list[FieldProblem] = Field(default_factory=list)
    actions: list[Action] = Field(default_factory=list)


GOT_LIMIT = 300


def plain(value: Any) -> Any:
    """What was got, as JSON that is short and has no NaN in it."""
    if value is None or isinstance(value, bool | int | str):
        return value[:GOT_LIMIT] if isinstance(value, str) else value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    text = repr(value)
    return text if len(text) <= GOT_LIMIT else text[: GOT_LIMIT - 1] + "…"
