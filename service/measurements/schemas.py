"""Measurements, and which subnets to measure."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from service.http.files import FileBody
from service.http.schemas import Accepted, ArchJson, Body, JobRequest, Measured, Name, Seed, Stamped
from service.runtime.task import StepData
from service.supernets.tables import ArchColumn, ColumnName, CostColumn
from supernets.metrics import LATENCY

Unit = Literal["ms", "s", "us", "µs", "ns"]


class TableRows(Body):
    """Rows of a parquet or CSV file as measurements."""

    file: FileBody
    latency: ColumnName = Field(description="Column with the latency")
    unit: Unit = Field("ms", description="Unit of that column")
    archs: list[ColumnName] = Field(
        default_factory=list,
        max_length=512,
        description="Columns that identify the arch: axes of the supernet, or one with arch ids or JSON; "
        "none: every axis that the table has",
    )
    strict: bool = Field(False, description="Take nothing if any row is refused")
    accept_jumps: bool = Field(
        False,
        description="Take rows that lie about 1000x from the rest, which otherwise count as another unit",
    )


class Selection(Body):
    """Which subnets: listed ones, or a number of them spread over the space."""

    count: int | None = Field(None, ge=1, le=2000, description="How many, spread over the space")
    archs: list[ArchJson] | None = Field(None, min_length=1, max_length=2000, description="Exactly these")
    seed: Seed = 0

    @model_validator(mode="after")
    def _one_way(self) -> Selection:
        if (self.count is None) == (self.archs is None):
            raise ValueError("give exactly one of 'count' and 'archs'")
        return self


class Until(Body):
    """When enough is measured."""

    metric: Literal["mape"] = Field("mape", description="Mean relative error on held-out rows")
    below: float = Field(gt=0, lt=1, description="0.03 is 3 %; the standard error is added before comparing")


class MeasurementCreate(Selection, JobRequest):
    """Measure subnets of a supernet on this target, or take rows that were measured elsewhere."""

    supernet: str
    metrics: list[Measured] = Field(
        default_factory=lambda: [LATENCY],
        min_length=1,
        description="latency_ms is always measured; the target lists the others",
    )
    choose: Literal["information", "spread"] | None = Field(
        None,
        description="How 'count' subnets are chosen: by how much they improve the predictor of this target "
        "(the default where there are source devices), or spread over the space",
    )
    until: Until | None = Field(
        None, description="Stop, before 'count' is reached, when a predictor of latency_ms is this good"
    )
    table: TableRows | None = Field(
        None, description="Rows as a file, for a target of kind table; instead of 'count' and 'archs'"
    )

    @model_validator(mode="after")
    def _one_way(self) -> MeasurementCreate:
        if sum(value is not None for value in (self.count, self.archs, self.table)) != 1:
            raise ValueError("give exactly one of 'count', 'archs' and 'table'")
        if self.choose is not None and self.count is None:
            raise ValueError("'choose' selects how 'count' subnets are chosen, and requires it")
        if self.until is not None and self.count is None:
            raise ValueError("'until' ends a measurement of at most 'count' subnets, and needs it")
        return self


class MeasureParams(MeasurementCreate):
    """Parameters of a measuring job."""

    target: str
    metric: str = LATENCY


class ImportTarget(Body):
    """The target of kind ``table`` that the rows are stored for; it is created if there is none of this name."""

    name: Name
    settings: dict[str, object] = Field(
        default_factory=dict, description="device, runtime, precision and batch, as for POST /v1/targets"
    )


class ImportSpace(Body):
    """The space that the arch columns of the table span, for archs without a supernet here."""

    name: Name
    archs: list[ArchColumn] = Field(min_length=1, max_length=512, description="Columns that make an arch")
    depth_axis: ColumnName | None = Field(
        None, description="The arch column with the number of positions that count in the split columns"
    )
    params: CostColumn | None = None
    macs: CostColumn | None = None


class ImportCreate(JobRequest):
    """Rows of a file as a target, in one step: nothing is created unless the file can be read and has valid rows."""

    target: ImportTarget
    supernet: str | None = Field(None, description="Whose archs the rows are; or give 'space'")
    space: ImportSpace | None = None
    table: TableRows

    @model_validator(mode="after")
    def _one_space(self) -> ImportCreate:
        if (self.supernet is None) == (self.space is None):
            raise ValueError("give exactly one of 'supernet' and 'space'")
        return self


class ImportAccepted(Accepted):
    """Answer 202: the job that imports the rows, and the target and supernet (or space) that they belong to."""

    target: str
    supernet: str


class ImportParams(StepData):
    """Parameters of an importing job: a stored file (its hash), and the meaning of its columns.

    ``created``: the target and the space that were created for it, and are removed if no row can be imported.
    """

    supernet: str
    target: str
    file: str
    archs: list[str]
    latency: str
    unit: Unit
    strict: bool
    accept_jumps: bool
    created: list[Literal["target", "supernet"]] = Field(default_factory=list)


class MeasurementView(Stamped):
    """A metric of a subnet on a target or a split."""

    subnet: str
    supernet: str
    arch: ArchJson
    metric: str
    unit: str
    target: str | None
    split: str | None
    value: float
    spread: float | None = Field(description="Standard error of the value, in its unit")
    n: int = Field(description="Rounds of a measured metric, images of an evaluated one")
    statistic: str
    precision: str
    protocol_version: str | None
    verdict: str | None = Field(description="good, noisy or contended")
    details: dict[str, object] = Field(description="Raw statistics, reference, hashes, runtime and agent")
    stale: str | None = Field(None, description="Why it no longer holds, of a measurement on a target")
    job: str | None
