"""Typed records of a manifest: what a supernet was trained on, how, and at what cost. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

MAX_DEPTH = 12
MAX_CLASSES = 100_000
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
ClassName = Annotated[str, StringConstraints(max_length=500)]


def plain_json(value: Mapping[str, object]) -> dict[str, object]:
    """``value`` if it is JSON of at most ``MAX_DEPTH`` levels with finite numbers; raises ``ValueError``."""
    _check(value, 1)
    return dict(value)


def _check(value: object, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError(f"must be nested at most {MAX_DEPTH} levels deep")
    if isinstance(value, Mapping):
        for key, each in value.items():
            if not isinstance(key, str):
                raise ValueError(f"keys must be text, got {key!r}")
            _check(each, depth + 1)
    elif isinstance(value, list | tuple):
        for each in value:
            _check(each, depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"numbers must be finite, got {value}")
    elif value is not None and not isinstance(value, str | int | float):
        raise ValueError(f"must be JSON, got {type(value).__name__}")


JsonObject = Annotated[dict[str, Any], AfterValidator(plain_json)]


class Record(BaseModel):
    """A part of a manifest: immutable, without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SplitRecord(Record):
    """Size and hash of a split."""

    n: int = Field(ge=0)
    sha256: Sha256


class DataRecord(Record):
    """Name of a data set, its splits by name, and what its labels mean to a network trained elsewhere."""

    name: str = Field(min_length=1, max_length=4096)
    splits: dict[Literal["train", "validation", "test"], SplitRecord] = {}
    outputs: list[int] | None = Field(
        default=None,
        max_length=MAX_CLASSES,
        description="The output that stands for each class, where the network was trained on other images",
    )


class OriginRecord(Record):
    """The supernet or file where weights or a teacher came from; ``carried`` names what was taken over."""

    name: str = Field(max_length=4096)
    sha256: Sha256
    carried: list[str] | None = None


class SittingRecord(Record):
    """An uninterrupted run of a training."""

    first_step: int = Field(ge=0)
    last_step: int = Field(ge=0)
    seconds: float = Field(ge=0)
    device: str = "cpu"


class StageRecord(Record):
    """One recipe's training: with what, on what, from where, and what it cost.

    ``passes`` counts forward and backward passes of subnets; ``billed_passes`` adds a third for each forward
    pass alone.
    """

    recipe: JsonObject
    seed: int
    data: DataRecord
    source: OriginRecord | None = None
    teacher: OriginRecord | None = None
    predictor: OriginRecord | None = None
    steps: int = Field(ge=0)
    passes: int = Field(ge=0)
    billed_passes: float = Field(ge=0)
    images: int = Field(ge=0)
    seconds: float = Field(ge=0)
    sittings: list[SittingRecord] = []


class TrainingRecord(Record):
    """What all stages cost together, and the record of each; empty where a supernet was not trained here."""

    seed: int | None = None
    steps: int = Field(default=0, ge=0)
    passes: int = Field(default=0, ge=0)
    billed_passes: float = Field(default=0.0, ge=0)
    images: int = Field(default=0, ge=0)
    seconds: float = Field(default=0.0, ge=0)
    stages: list[StageRecord] = []
    calibration_images: int | None = None
    torch: str | None = None


class ResolvedTraining(Record):
    """A training request with nothing left open but what only loaded data determine (:mod:`supernets.training.plan`).

    ``fit`` are dimensions of the family that are still to be taken from the data, once they are loaded.
    """

    task: str
    family: str
    config: JsonObject
    fit: list[str]
    recipe: JsonObject
    data: str
    seed: int


def faults(error: ValidationError) -> str:
    """The faults of a model: field, rule, what was got; at most five."""
    found = [
        f"{'.'.join(map(str, each['loc'])) or 'it'}: {each['msg'].removeprefix('Value error, ')}"
        + ("" if each["type"] in ("missing", "value_error") else f", got {str(each['input'])[:80]!r}")
        for each in error.errors()
    ]
    return "; ".join(found[:5]) + (f"; and {len(found) - 5} more" if len(found) > 5 else "")
