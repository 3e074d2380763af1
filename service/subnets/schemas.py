"""Subnets and their exports."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from service.http.schemas import ArchJson, Body, Stamped
from service.measurements.schemas import MeasurementView, Selection
from service.runtime.task import StepData


class ExportCreate(Body):
    """Write a subnet to a file and prove it equal to the supernet's own answer."""

    format: str = Field("onnx", description="Name in the exporter registry")
    precision: Literal["fp32"] = "fp32"
    opset: int = Field(18, ge=17, le=21)
    batch: Literal["dynamic"] = "dynamic"


class ExportView(Stamped):
    """An exported file."""

    subnet: str
    format: str
    precision: str
    opset: int
    batch: str
    state: str = Field(description="State of the job that makes it")
    sha256: str | None
    bytes: int | None
    exporter: str | None
    exporter_version: str | None
    parity: dict[str, Any] | None = Field(
        description="max_error, n, tolerance: file against torch on real images"
    )
    metadata: dict[str, str]
    job: str | None


class SubnetView(Stamped):
    """An arch of a supernet, with what is known about it."""

    supernet: str
    arch_id: str
    arch: ArchJson
    costs: dict[str, float]
    measurements: list[MeasurementView]
    exports: list[ExportView]


class ExportParams(StepData):
    """Parameters of an exporting job."""

    export: str


class EvaluationCreate(Selection):
    """Evaluate the quality of subnets on a split (``test`` is for what a search returns)."""

    split: Literal["validation"] = "validation"


class EvaluateParams(EvaluationCreate):
    """Parameters of an evaluating job."""

    supernet: str
