"""Shapes that every resource shares."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")
GOT_LIMIT = 300
Choice = int | float | str
ArchJson = dict[str, Choice]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,79}$", description="1 to 80 characters")]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1, description="Seed of every random draw")]
Measured = Literal["latency_ms", "peak_memory_mb", "energy_mj"]
LATENCY: tuple[Measured, ...] = ("latency_ms",)
Labels = Annotated[dict[str, str], Field(max_length=32, description="Your own words about it")]


class Body(BaseModel):
    """A request body: an unknown field is an error, not something to ignore; numbers are finite."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, protected_namespaces=())


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


class JobBrief(View):
    """The job that makes a resource, as an answer to POST names it."""

    id: str
    kind: str
    state: str


class Accepted(View):
    """Answer 202: the resource that a job will fill, and the job (also in ``Location``)."""

    id: str
    job: JobBrief


class Page(View, Generic[T]):
    """One page of a list; ``next_page_token`` is null on the last."""

    items: list[T]
    next_page_token: str | None = None


class Stamped(View):
    """What every stored resource has."""

    id: str
    created_at: datetime


def plain(value: Any) -> Any:
    """What was got, as JSON that is short and has no NaN in it."""
    if value is None or isinstance(value, bool | int | str):
        return value[:GOT_LIMIT] if isinstance(value, str) else value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    text = repr(value)
    return text if len(text) <= GOT_LIMIT else text[: GOT_LIMIT - 1] + "…"
