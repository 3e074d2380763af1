"""The manifest of a supernet: identity, origin and report card, as a validated file. No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError, field_validator

from supernets import FAMILIES, TASKS
from supernets.errors import CheckpointError, SupernetError, nearest
from supernets.families.family import Family
from supernets.metrics import names_from
from supernets.records import (
    MAX_CLASSES,
    ClassName,
    DataRecord,
    JsonObject,
    Record,
    Sha256,
    TrainingRecord,
    faults,
)
from supernets.spaces.space import Choice, Space

WEIGHTS_FILE = "supernet.safetensors"
MANIFEST_FILE = "manifest.json"
FORMAT: Literal[1] = 1
NONE = "none"
"""Task and quality of a space without networks."""
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,79}$")]

MAX_LICENCE = 200


class Manifest(Record):
    """Identity, origin and report card of a supernet.

    ``preprocessing`` turns stored examples into inputs; ``recipe`` is that of the last stage. After a split,
    ``shards`` holds for each network, in the order of the weights, the choices of the axes that are narrower in its
    region; the first region that holds an arch is used.
    """

    name: Name
    family: str = Field(min_length=1, max_length=80)
    config: JsonObject
    task: str
    quality: str
    weights_sha256: Sha256
    space_sha256: Sha256
    data: DataRecord
    preprocessing: JsonObject
    classes: list[ClassName] = Field(max_length=MAX_CLASSES)
    recipe: JsonObject
    training: TrainingRecord
    report: JsonObject = {}
    shards: list[dict[str, list[Choice]]] = Field(default=[], max_length=1000)
    licence: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_LICENCE,
        description="Of the weights, an SPDX name where there is one; null until their owner states it",
    )
    format: Literal[1] = FORMAT

    @field_validator("task")
    @classmethod
    def _known_task(cls, value: str) -> str:
        if value not in (*TASKS, NONE):
            allowed = (*TASKS, NONE)
            raise ValueError(f"must be one of {', '.join(allowed)}, got {value!r}{nearest(value, allowed)}")
        return value

    @field_validator("quality")
    @classmethod
    def _registered_quality(cls, value: str) -> str:
        allowed = (*names_from("evaluated"), NONE)
        if value not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}, got {value!r}{nearest(value, allowed)}")
        return value

    @classmethod
    def read(cls, directory: Path) -> Manifest:
        """The manifest of a supernet directory; raises ``CheckpointError`` for anything that is not one."""
        path = Path(directory) / MANIFEST_FILE
        try:
            values = json.loads(path.read_text())
        except FileNotFoundError as error:
            raise CheckpointError(
                f"a supernet directory must hold {MANIFEST_FILE}, {path.parent.name!r} does not"
            ) from error
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"{MANIFEST_FILE} must be JSON: {error}") from error
        _require_storable(values)
        return cls.parse(values)

    @classmethod
    def parse(cls, values: Mapping[str, object]) -> Manifest:
        """The manifest with these values, its family and space checked; raises ``CheckpointError``."""
        if not isinstance(values, Mapping):
            raise CheckpointError(f"a manifest must be a JSON object, got {type(values).__name__}")
        try:
            manifest = cls.model_validate(dict(values))
        except ValidationError as error:
            raise CheckpointError(f"the manifest does not fit: {faults(error)}") from error
        try:
            space = manifest.make_family().space()
            manifest.regions()
        except (SupernetError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"family {manifest.family!r} of the manifest cannot be made: {error}"
            ) from error
        if space.sha256 != manifest.space_sha256:
            raise CheckpointError(
                f"the family's space has hash {space.sha256[:12]}, the manifest has {manifest.space_sha256[:12]}"
            )
        return manifest

    def make_family(self) -> Family:
        """The family, without its weights."""
        family: Family = FAMILIES.load(self.family).from_config(self.config)
        return family

    def regions(self) -> list[Space]:
        """The part of the space of each network; empty where there is one network."""
        space = self.make_family().space()
        return [space.restrict(choices) for choices in self.shards]

    def as_json(self) -> dict[str, Any]:
        """What :meth:`parse` reads back."""
        return self.model_dump(mode="json")


def _require_storable(values: object) -> None:
    """Refuse text that JSON can escape, but no database or answer can hold, anywhere in a manifest."""
    try:
        stored = json.dumps(values, ensure_ascii=False)
        stored.encode()
    except (UnicodeEncodeError, RecursionError) as error:
        raise CheckpointError(
            f"{MANIFEST_FILE} must hold text that UTF-8 can encode, without lone surrogates or deep nesting"
        ) from error
    if "\\u0000" in stored:
        raise CheckpointError(f"{MANIFEST_FILE} must hold text without NUL")
