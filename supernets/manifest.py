"""What a supernet says of itself. No torch."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from supernets import FAMILIES
from supernets.errors import CheckpointError, SupernetError
from supernets.families.family import Family
from supernets.spaces.space import Choice, Space

WEIGHTS_FILE = "supernet.safetensors"
MANIFEST_FILE = "manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """Identity, origin and report card of a trained supernet.

    ``data`` holds the name and the size and hash of every split; ``preprocessing`` what an image must go
    through; ``recipe`` that of the last stage; ``training`` what all stages cost, and a record of each;
    ``report`` the report card. After a split, ``shards`` holds for each network, in order of the weights, the
    choices of the axes that are narrower in its region; the first region that holds an arch counts.
    """

    name: str
    family: str
    config: dict[str, Any]
    task: str
    quality: str
    weights_sha256: str
    space_sha256: str
    data: dict[str, Any]
    preprocessing: dict[str, Any]
    classes: list[str]
    recipe: dict[str, Any]
    training: dict[str, Any]
    report: dict[str, Any] = field(default_factory=dict)
    shards: list[dict[str, list[Choice]]] = field(default_factory=list)
    licence: str = "Apache-2.0"
    format: int = FORMAT

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
        except ValueError as error:
            raise CheckpointError(f"{MANIFEST_FILE} must be JSON: {error}") from error
        return cls.parse(values)

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Manifest:
        """The manifest with these values, its family and space checked."""
        known = {f.name for f in dataclasses.fields(cls)}
        required = {
            f.name for f in dataclasses.fields(cls) if f.default is f.default_factory is dataclasses.MISSING
        }
        if not isinstance(values, Mapping) or not required <= set(values) <= known:
            got = sorted(values) if isinstance(values, Mapping) else type(values).__name__
            raise CheckpointError(
                f"a manifest must have {sorted(required)} and at most {sorted(known)}, got {got}"
            )
        if values.get("format", FORMAT) != FORMAT:
            raise CheckpointError(f"manifest format must be {FORMAT}, got {values['format']!r}")
        manifest = cls(**values)
        try:
            space = manifest.make_family().space()
            manifest.regions()
        except (SupernetError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"family {manifest.family!r} of the manifest cannot be made: {error}"
            ) from error
        if space.sha256 != manifest.space_sha256:
            raise CheckpointError(
                f"the family's space has hash {space.sha256[:12]}, the manifest says {manifest.space_sha256[:12]}"
            )
        return manifest

    def make_family(self) -> Family:
        """The family, without its weights."""
        family: Family = FAMILIES.load(self.family).from_config(self.config)
        return family

    def regions(self) -> list[Space]:
        """The part of the space of each network, or none where there is one network."""
        space = self.make_family().space()
        return [space.restrict(choices) for choices in self.shards]

    def as_json(self) -> dict[str, Any]:
        """What :meth:`parse` reads back."""
        return dataclasses.asdict(self)
