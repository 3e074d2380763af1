"""The layers of a subnet."""

from __future__ import annotations

from pydantic import Field

from service.problems import View
from service.search.request.schemas import PredictedValue


class LayerView(View):
    """A layer of a subnet, for one input. Positions are height times width, or tokens."""

    name: str
    kind: str
    in_channels: int
    out_channels: int
    in_positions: int
    out_positions: int
    kernel: int
    stride: int
    params: float
    macs: float
    activation_mb: float = Field(description="Alive while it runs, fp32")
    latency_ms: float | None = Field(
        description="Its part of the latency on the target; 0 where it runs inside the layer before it"
    )


class LatencyParts(View):
    """Latency as a sum over kernels, fitted to ``rows`` subnets measured on the target as a whole."""

    fixed_ms: float = Field(description="What every subnet takes, whatever its layers")
    layers_ms: float
    rows: int


class LayersView(View):
    """What a subnet is made of, and its predictions by the newest predictors."""

    subnet: str
    target: str | None
    layers: list[LayerView]
    latency: LatencyParts | None = Field(
        description="null without a target, or with too few subnets measured on it"
    )
    predicted: list[PredictedValue]
