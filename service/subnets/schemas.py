"""Subnets and their exports."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from service.http.schemas import ArchJson, JobRequest, Stamped
from service.measurements.schemas import MeasurementView, Selection
from service.runtime.task import StepData
from supernets import EXPORTERS


class ExportCreate(JobRequest):
    """Write a subnet to a file and compare its outputs with the supernet's."""

    format: str = Field(
        "onnx",
        description="Name of an exporter: onnx, or pt2 (torch.export)",
        json_schema_extra={"enum": list(EXPORTERS)},
    )
    precision: Literal["fp32", "fp16", "int8"] | None = Field(
        None,
        description="fp16 and int8 are ONNX only; int8 is calibrated on training images. What they change in quality "
        "and latency is measured and stored with the export. If absent: fp32, or with 'target' what was measured to "
        "be fastest there",
    )
    target: str | None = Field(
        None,
        description="Id of the target that the file is for. Without a precision, the file has fp16 or int8 where "
        "earlier exports of this supernet in that precision took less than 0.9 of the latency of fp32 on the "
        "target's machine, else fp32",
    )
    opset: int = Field(18, ge=17, le=21, description="Version of the ONNX operators")
    batch: Literal["dynamic"] | Annotated[int, Field(ge=1, le=1024, strict=True)] = Field(
        "dynamic", description="The batch that the file takes: any, or this number of examples"
    )
    ir_version: int | None = Field(
        None,
        ge=3,
        le=13,
        description="Version of the ONNX file format; the lowest that the opset allows if absent, which the most "
        "runtimes read",
    )
    finetune: str | None = Field(
        None,
        description="Id of a finished fine-tune of this subnet, whose weights the file has; the supernet's if absent",
    )


class ExportView(Stamped):
    """An exported file."""

    subnet: str
    format: str
    precision: str
    opset: int
    batch: str
    ir_version: int | None = Field(description="As asked for; null is the lowest that the opset allows")
    finetune: str | None = Field(
        description="The fine-tune whose weights it has; null: those of the supernet"
    )
    state: str = Field(description="State of the job that makes it")
    sha256: str | None
    bytes: int | None
    exporter: str | None
    exporter_version: str | None
    parity: dict[str, object] | None = Field(
        description="max_error, n, tolerance: file against torch on real images. For fp16 and int8 also change: "
        "quality of fp32 and of the file on the same test images, their difference with its standard error, median "
        "latency of both in ms on one thread of the worker, its device, whether that has an instruction for 8-bit "
        "dot products (int8 may be slower without), and sizes"
    )
    metadata: dict[str, str]
    job: str | None


class SubnetView(Stamped):
    """An arch of a supernet, with its predictions, measurements and exports."""

    supernet: str
    arch_id: str
    arch: ArchJson
    costs: dict[str, float]
    measurements: list[MeasurementView]
    exports: list[ExportView]


class ExportParams(StepData):
    """Parameters of an exporting job."""

    export: str


class EvaluationCreate(Selection, JobRequest):
    """Evaluate the quality of subnets on a split (``test`` is for what a search returns)."""

    split: Literal["validation"] = "validation"
    images: int | None = Field(
        None,
        ge=1,
        le=10**9,
        description="Only on a part of the split, the same for all subnets, with its classes in proportion; a "
        "predictor takes the larger error into account, a front does not use such values. Default: all images",
    )


class EvaluateParams(EvaluationCreate):
    """Parameters of an evaluating job."""

    supernet: str
