"""Hardware targets, and what is measured on them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field, model_validator

from service.http.schemas import LATENCY, ArchJson, Body, Measured, Name, Seed, Stamped, View
from service.measurements.table_schemas import TableRows


class TargetCreate(Body):
    """Device, runtime and settings under which latency is defined."""

    kind: str = Field(
        "cpu",
        description="Kind of target: cpu is the worker's machine, agent another one where `netwright agent` runs, "
        "table a device that you measured",
    )
    name: Name | None = Field(None, description="Defaults to the kind and the settings")
    settings: dict[str, Any] = Field(
        default_factory=dict,
        description="Settings of this kind, e.g. {'threads': 1, 'precision': 'fp32', 'batch': 1}",
    )


class AgentView(View):
    """A process on a device."""

    name: str
    seen_at: datetime
    connected: bool = Field(description="Whether it was heard of within the time of a lease")


class TargetView(Stamped):
    """A hardware target."""

    name: str
    kind: str
    settings: dict[str, Any]
    description: dict[str, Any] = Field(description="What was found: device, runtime, versions")
    metrics: list[str] = Field(description="Metrics that are known or can be measured of it")
    measurable: bool = Field(description="false: all its rows were brought, nothing can be measured on it")
    calibrations: dict[str, Any] | None = Field(
        None,
        description="Reference nets and their latency here: the scale of every measurement; null before any",
    )
    stale: str | None = Field(
        None, description="Why what was measured here no longer holds: POST …:refresh starts anew"
    )
    valid_from: datetime | None = Field(None, description="What was measured before is stale")
    agents: list[AgentView] = Field(default_factory=list, description="Processes that measure for it")
    unsupported: int = Field(0, description="Subnets that its runtime could not run; searches avoid them")


class Selection(Body):
    """Which subnets: the ones given, or a number of them spread over the space."""

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


class MeasurementCreate(Selection):
    """Measure subnets of a supernet on this target, or take rows that were measured elsewhere."""

    supernet: str
    metrics: list[Measured] = Field(
        default_factory=lambda: list(LATENCY),
        min_length=1,
        description="latency_ms is always measured; the target says which others can be",
    )
    choose: Literal["information", "spread"] | None = Field(
        None,
        description="How 'count' subnets are chosen: by what they tell about this target given the known ones "
        "(the default where other targets of the space are known), or spread over the space",
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
            raise ValueError("'choose' says how 'count' subnets are chosen, and needs it")
        if self.until is not None and self.count is None:
            raise ValueError("'until' ends a measurement of at most 'count' subnets, and needs it")
        return self


class EvaluationCreate(Selection):
    """Evaluate the quality of subnets on a split (``test`` is for what a search returns)."""

    split: Literal["validation"] = "validation"


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
    details: dict[str, Any] = Field(description="Raw statistics, reference, hashes, runtime and agent")
    stale: str | None = Field(None, description="Why it no longer holds, of a measurement on a target")
    job: str | None
