"""Messages between a device's agent and the service."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from service.http.schemas import Body, Measured, Name
from service.problems import View
from supernets.metrics import LATENCY

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Positive = Annotated[float, Field(gt=0, le=1e6)]
MOST = 2**31 - 1
"""The largest whole number that every database can store as one."""
Count = Annotated[int, Field(ge=0, le=MOST)]
Share = Annotated[float, Field(ge=0, le=1)]
MOST_ITEMS = 64


class DeviceDescription(Body):
    """What an agent found: the device, and what runs nets on it."""

    device: dict[str, object] = Field(description="cpu, cores, memory_gb, architecture, system, max_mhz")
    runtime: dict[str, object] = Field(description="name, version, providers")
    metrics: list[Measured] = Field(
        default_factory=lambda: [LATENCY], description="What can be measured there"
    )


class LeaseCreate(Body):
    """A request of an agent for nets to measure."""

    target: str = Field(description="Id or name of a target of kind agent")
    agent: Name = Field(description="Name of the agent, unique on its target")
    description: DeviceDescription
    max_items: int = Field(16, ge=1, le=MOST_ITEMS, description="Most nets of the batch")


class LeasedFile(View):
    """A file to download from ``/v1/artifacts/{sha256}``."""

    sha256: str
    bytes: int


class LeasedItem(LeasedFile):
    """A net to measure."""

    id: str


class Reference(LeasedFile):
    """A reference net, against which the others are held."""

    name: str


class LeaseView(View):
    """A batch of nets, measured in one interleaved run and sent before the lease expires."""

    id: str
    expires_at: datetime
    expires_in_s: float = Field(description="Seconds until the nets go to others; :renew starts them again")
    target: str
    settings: dict[str, object]
    protocol: dict[str, object] = Field(description="Rounds, block length and seed of the one protocol")
    metrics: list[str]
    calibrations: dict[str, object] | None = Field(
        description="Of the target; null when this batch is to make them"
    )
    references: list[Reference]
    items: list[LeasedItem]


class LeaseRenew(Body):
    """A sign of life while measuring."""

    step: Literal["download", "wait", "calibrate", "measure"] = Field(
        "measure", description="wait: another run is on the agent's machine; done is in seconds then"
    )
    done: Count = Field(0)
    total: Count = Field(0)


class RenewView(View):
    """Until when, and which nets are still this lease's."""

    expires_at: datetime
    expires_in_s: float
    items: list[str]


class RawTimes(Body):
    """All single inferences, uncorrected."""

    min: Positive
    p50: Positive
    p90: Positive


class TimedReference(Body):
    """The reference net of a row, as it was in this run."""

    name: str
    sha256: Sha256
    calibrated_ms: Positive
    near_share: Share
    drift: Positive


class ExtraValue(Body):
    """Another metric of a net; what cannot be measured is absent, never zero."""

    value: Annotated[float, Field(gt=0, le=1e9)]
    spread: Annotated[float, Field(ge=0, le=1e9)]
    n: Annotated[int, Field(ge=1, le=MOST)]
    statistic: Annotated[str, Field(max_length=160)]


class ResultRow(Body):
    """What was measured of one net: the fields of the protocol's timing."""

    item: str
    sha256: str = Field(description="Hash of the file that was measured")
    verdict: Literal["good", "noisy", "contended", "refused", "unsupported"]
    latency_ms: Positive | None = None
    standard_error_ms: Annotated[float, Field(ge=0, le=1e6)] | None = None
    rounds: Annotated[int, Field(ge=0, le=100_000)] = 0
    raw_ms: RawTimes | None = None
    raw_n: Count = 0
    reference: TimedReference | None = None
    statistic: Annotated[str, Field(max_length=160)] = ""
    protocol_version: Annotated[int, Field(ge=0, le=MOST)]
    error: Annotated[str, Field(max_length=4000)] | None = None
    extras: dict[Measured, ExtraValue] = Field(default_factory=dict)


class CalibrationRow(Body):
    """The latency of a reference net on the target."""

    name: str
    sha256: Sha256
    latency_ms: Positive
    rounds: Annotated[int, Field(ge=1, le=MOST)]


class ResultsCreate(Body):
    """What an agent measured. Rows are judged one by one: what is wrong with one leaves the others."""

    rows: list[dict[str, object]] = Field(max_length=MOST_ITEMS)
    calibrations: dict[str, CalibrationRow] | None = None


class RefusedRow(View):
    """A row that was not taken, and why."""

    item: str
    field: str
    got: object = None
    allowed: object = None


class ResultsView(View):
    """The result for each row; ``known`` were stored already."""

    recorded: int
    known: int
    refused: list[RefusedRow]
