"""Hardware targets, and what is measured on them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from service.http.schemas import Body, Name, Stamped
from service.problems import View


class TargetCreate(Body):
    """Device, runtime and settings under which latency is defined."""

    kind: str = Field(
        "cpu",
        description="Kind of target: cpu is the worker's machine, agent another one where `netwright agent` runs, "
        "table a device that you measured",
    )
    name: Name | None = Field(None, description="Defaults to the kind and the settings")
    settings: dict[str, object] = Field(
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

    archived_at: datetime | None = Field(
        None, description="When it was archived: DELETE on what other resources refer to"
    )
    name: str
    kind: str
    settings: dict[str, object]
    description: dict[str, object] = Field(description="What was found: device, runtime, versions")
    metrics: list[str] = Field(description="Metrics that have rows or can be measured on it")
    measurable: bool = Field(description="false: all its rows are imported, nothing can be measured on it")
    measured_by: Literal["worker", "agent", "none"] = Field(
        description="Who measures: a worker of the service, an agent on the device, or none (rows are imported)"
    )
    calibrations: dict[str, object] | None = Field(
        None,
        description="Reference nets and their latency here: the scale of every measurement; null before any",
    )
    stale: str | None = Field(
        None, description="Why what was measured here no longer holds: POST …:refresh starts again"
    )
    valid_from: datetime | None = Field(None, description="What was measured before is stale")
    drifts: list[float] = Field(
        default_factory=list,
        description="Latency of the reference net in the last runs over that of the calibration, oldest first",
    )
    agents: list[AgentView] = Field(default_factory=list, description="Processes that measure for it")
    unsupported: int = Field(0, description="Subnets that its runtime could not run; searches avoid them")
