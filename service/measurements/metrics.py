"""The table of metrics over HTTP."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import Field

from service.http.deps import Project
from service.problems import View
from supernets.metrics import METRICS

router = APIRouter(prefix="/v1", tags=["metrics"])


class MetricView(View):
    """A quantity of a subnet that can be an objective or have a limit."""

    name: str
    unit: str
    direction: Literal["min", "max"] = Field(description="min: smaller values are better")
    source: Literal["measured", "evaluated", "closed_form"] = Field(
        description="Measured on a target, evaluated on a data split, or computed from the layers"
    )
    minimum: float | None = Field(description="Smallest possible value, null without one")
    maximum: float | None = Field(description="Largest possible value, null without one")
    description: str


class MetricList(View):
    """Every metric."""

    items: list[MetricView]


@router.get("/metrics")
def list_metrics(_project: Project) -> MetricList:
    """Every metric, with its unit, direction and bounds: the same for all projects."""
    items = [
        MetricView(
            name=metric.name,
            unit=metric.unit,
            direction=metric.direction,
            source=metric.source,
            minimum=metric.minimum,
            maximum=metric.maximum,
            description=metric.description,
        )
        for metric in METRICS.values()
    ]
    return MetricList(items=items)
