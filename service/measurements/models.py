"""What measuring jobs pass between processes and record: timings of subnets, and the target they are of."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ConfigDict, Field, JsonValue

from predictors.measuring.protocol import Calibration, Timing
from service.runtime.task import Rows, StepData

JsonObject = dict[str, JsonValue]
IMPORTED, PREDICTED = "imported", "predicted"
# Neither is a new measurement: nothing of it is stored, and it has no protocol.
NOT_MEASURED = (IMPORTED, PREDICTED)


class ExtraMetric(StepData):
    """A metric that was measured together with the latency."""

    value: float
    spread: float | None
    n: int
    statistic: str


class SubnetTiming(StepData):
    """The latency of a subnet on a target and what belongs to it; ``latency_ms`` is None where there is none.

    Fields as in :class:`predictors.measuring.protocol.Timing`; rows of a table and predictions have no protocol.
    """

    model_config = ConfigDict(coerce_numbers_to_str=True)

    key: str = ""
    verdict: str | None
    latency_ms: float | None = None
    standard_error_ms: float | None = None
    rounds: int = 0
    statistic: str
    protocol_version: str | None = None
    raw_ms: dict[str, float] = Field(default_factory=dict)
    raw_n: int | None = None
    reference: JsonObject = Field(default_factory=dict)
    sha256: str | None = None
    error: str | None = None
    extras: dict[str, ExtraMetric] = Field(default_factory=dict)
    provenance: JsonObject | None = None

    @classmethod
    def of(
        cls, timing: Timing | Mapping[str, object], extras: Mapping[str, object], **more: object
    ) -> SubnetTiming:
        """From a timing and the further metrics of the same net."""
        values = timing.as_json() if isinstance(timing, Timing) else timing
        return cls.model_validate({**values, "extras": extras, **more})


class Measured(StepData):
    """Timings in the order of the subnets; none where the time ran out or the target is ``stale`` (the reason)."""

    timings: list[SubnetTiming] = Field(default_factory=list)
    calibrations: dict[str, Calibration] | None = None
    precision: str | None = None
    stale: str | None = None


class StoredLatencies(StepData):
    """What stands for measurements on a target that cannot measure: its rows, and a predictor (its hash)."""

    population: Rows
    values: list[float]
    predictor: str | None
    confidence: float
    precision: str


class MeasuredTarget(StepData):
    """A stored target as the measuring task needs it; ``lookup`` is set where nothing can be measured."""

    id: str
    name: str
    kind: str
    description: JsonObject
    settings: JsonObject
    calibrations: dict[str, Calibration] | None
    fingerprint: str
    lookup: StoredLatencies | None

    @property
    def runtime(self) -> JsonObject:
        """The runtime that the target was measured with."""
        found = self.description["runtime"]
        assert isinstance(found, dict)
        return found


class ImportedRows(StepData):
    """Rows that were measured elsewhere, merged to one for each subnet: latency in ms, rows behind it, spread."""

    population: Rows
    values: list[float]
    counts: list[int]
    spreads: list[float | None]


class Quality(StepData):
    """The quality of a subnet on a split, as :class:`supernets.evaluate.Evaluation`; ``part``: on a part of it."""

    metric: str
    value: float
    standard_error: float
    n: int
    split: str
    split_sha256: str | None
    precision: str
    stats_sha256: str | None
    part: bool = False
