"""Supernets and their spaces."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field, model_validator

from service.http.schemas import ArchJson, Body, Choice, Name, Stamped
from service.problems import View
from service.supernets.official import OfficialFile
from service.supernets.tables import TableSpace
from supernets.data_facts.spec import DataSpec
from supernets.manifest import MAX_LICENCE


class SupernetCreate(Body):
    """Where to take a supernet from: exactly one of ``zoo``, ``path``, ``official`` and ``table``."""

    zoo: str | None = Field(
        None, description="Name of a supernet that ships with the service", examples=["digits"]
    )
    path: str | None = Field(None, description="Supernet directory, relative to NETWRIGHT_IMPORT_DIR")
    official: OfficialFile | None = Field(
        None, description="A file that once-for-all released; needs 'data', ImageNet images"
    )
    table: TableSpace | None = Field(
        None, description="The space of a table of measured archs: it has no networks, and can be predicted"
    )
    name: Name | None = Field(None, description="Defaults to the name in the manifest; needed for a table")
    data: str | DataSpec | None = Field(
        None,
        description="Where the images that it was trained on are now, inside NETWRIGHT_IMPORT_DIR; their hashes are "
        "checked. If absent: the data that the manifest names",
        examples=["folder:photos"],
    )

    @model_validator(mode="after")
    def _one_source(self) -> SupernetCreate:
        if sum(value is not None for value in (self.zoo, self.path, self.official, self.table)) != 1:
            raise ValueError("give exactly one of 'zoo', 'path', 'official' and 'table'")
        if self.official is not None and self.data is None:
            raise ValueError(
                "an official file needs 'data', the ImageNet images that subnets are evaluated on"
            )
        if self.table is not None and self.data is not None:
            raise ValueError("a table has no 'data'")
        if self.table is not None and self.name is None:
            raise ValueError("give a 'name' for the space of a table")
        return self


class SupernetUpdate(Body):
    """What may change of a registered supernet; what is absent stays."""

    data: str | DataSpec | None = Field(
        None,
        description="Where the images that it was trained on are now, inside NETWRIGHT_IMPORT_DIR; their hashes are "
        "checked",
        examples=["folder:photos"],
    )
    licence: Annotated[str, Field(min_length=1, max_length=MAX_LICENCE)] | None = Field(
        None,
        description="Of the weights, an SPDX name where there is one; it is written into files that are exported from "
        "now on, null withdraws it",
        examples=["MIT"],
    )

    @model_validator(mode="after")
    def _something(self) -> SupernetUpdate:
        if self.data is None and "licence" not in self.model_fields_set:
            raise ValueError("give 'data', 'licence', or both")
        return self


class SupernetView(Stamped):
    """A registered supernet: its weights are in the artifact store, its hashes were checked."""

    archived_at: datetime | None = Field(
        None, description="When it was archived: DELETE on what other resources refer to"
    )
    name: str
    family: str
    quality: str = Field(description="Name of its quality metric")
    source: str = Field(
        description="zoo, import, official, training, conversion, or table: a space without networks"
    )
    weights_sha256: str = Field(description="Hash of the weights; the space's where there are none")
    space_sha256: str
    space_size: float = Field(description="Number of subnets")
    classes: list[str]
    data: dict[str, object] = Field(description="Data set and its three splits, with sizes and hashes")
    first_images: int | None = Field(
        description="On how many validation images a search evaluates a subnet first; null: on all"
    )
    preprocessing: dict[str, object]
    training: dict[str, object]
    recipe: dict[str, object]
    report: dict[str, object] = Field(description="Report card of the training")
    licence: str | None = Field(description="Of the weights; null until their owner states it")


class AxisView(View):
    """One decision of a space, its choices from the smallest network to the largest."""

    name: str
    kind: str
    choices: list[Choice]
    parent: str | None = None
    active_when: list[Choice] = Field(default_factory=list)


class SpaceView(View):
    """Every subnet there is."""

    axes: list[AxisView]
    size: float
    smallest: ArchJson
    largest: ArchJson
