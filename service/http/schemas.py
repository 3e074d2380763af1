"""Shapes that every resource shares."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from service.problems import View

T = TypeVar("T")
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
