"""Shapes that every resource shares."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)

from service.problems import View
from supernets.errors import nearest
from supernets.metrics import names_from

T = TypeVar("T")
Choice = int | float | str
ArchJson = dict[str, Choice]
NAME = r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,79}$"


def _name(value: object) -> object:
    """The text with single spaces, as names are compared; one that is no name raises ``ValueError``."""
    if not isinstance(value, str):
        return value
    text = " ".join(value.split())
    if re.fullmatch(NAME, text) is None:
        raise ValueError(
            "must have 1 to 80 letters (a to z), digits, spaces, dots, underscores or hyphens, and begin with a letter "
            "or a digit"
        )
    return text


Name = Annotated[
    str,
    BeforeValidator(_name),
    StringConstraints(pattern=NAME),
    Field(description="1 to 80 characters; compared without case, and with single spaces"),
]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1, description="Seed of every random draw")]
MEASURED = names_from("measured")


def _measured(name: str) -> str:
    if name not in MEASURED:
        raise ValueError(f"must be one of {', '.join(MEASURED)}{nearest(name, MEASURED)}")
    return name


Measured = Annotated[
    str, AfterValidator(_measured), WithJsonSchema({"type": "string", "enum": list(MEASURED)})
]
Label = Annotated[str, Field(max_length=400)]
Labels = Annotated[dict[str, Label], Field(max_length=32, description="Your own words about it")]


class Body(BaseModel):
    """A request body: an unknown field is an error, not something to ignore; numbers are finite."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, protected_namespaces=())


Priority = Annotated[
    int,
    Field(
        ge=-100,
        le=100,
        description="Of a project's queued jobs those of higher priority are taken first; projects take turns whatever "
        "the priorities. A job that a worker has is not interrupted",
    ),
]


class JobRequest(Body):
    """A request that starts a job."""

    # Of the job, which its row has: it is no part of what the job's parameters or a resource record.
    priority: Priority = Field(0, exclude=True)


class JobBrief(View):
    """The job that makes a resource, as an answer to POST names it."""

    id: str
    kind: str
    state: str


class Accepted(View):
    """Answer 202: the resource that a job will fill, and the job (also in ``Location``)."""

    id: str
    job: JobBrief


class Removed(View):
    """Answer of DELETE: what nothing refers to is deleted, everything else archived."""

    id: str
    state: Literal["deleted", "archived"]
    referred_by: dict[str, int] = Field(description="Number of rows that refer to it, by kind of resource")

    @classmethod
    def of(cls, id: str, references: dict[str, int]) -> Removed:
        """Archived where anything refers to it."""
        return cls(id=id, state="archived" if references else "deleted", referred_by=references)


class Page(View, Generic[T]):
    """One page of a list; ``next_page_token`` is null on the last."""

    items: list[T]
    next_page_token: str | None = None


class Stamped(View):
    """What every stored resource has."""

    id: str
    created_at: datetime
