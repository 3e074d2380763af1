"""The inverted bottleneck block (Sandler et al., 2018) as a plan and as rows of layers. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from supernets.spaces.layers import LayerSpec

SE_REDUCTION = 4


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """One block of a concrete subnet; ``index`` counts all blocks of the supernet, skipped ones included."""

    index: int
    stage: int
    in_channels: int
    middle: int
    out_channels: int
    kernel: int
    stride: int
    activation: str
    squeeze: int | None
    residual: bool
    expands: bool = True


@lru_cache(maxsize=16_384)
def block_layers(name: str, plan: BlockPlan, side: int) -> tuple[LayerSpec, ...]:
    """Rows of one block that reads a ``side`` x ``side`` tensor."""
    area, after = side**2, (-(-side // plan.stride)) ** 2
    held = plan.in_channels * area if plan.residual else 0
    middle, out, activation = plan.middle, plan.out_channels, plan.activation
    rows: list[LayerSpec] = []
    if plan.expands:
        rows.append(
            LayerSpec(
                f"{name}.expand",
                "conv",
                plan.in_channels,
                middle,
                area,
                area,
                norm=True,
                activation=activation,
            )
        )
    depthwise = LayerSpec(
        f"{name}.depthwise", "depthwise", middle, middle, area, after, plan.kernel, plan.stride, groups=middle,
        norm=True, activation=activation, held=held if plan.expands else 0,
    )  # fmt: skip
    rows.append(depthwise)
    if plan.squeeze:
        rows += _squeeze_excite(name, middle, plan.squeeze, after, held)
    rows.append(LayerSpec(f"{name}.project", "conv", middle, out, after, after, norm=True, held=held))
    if plan.residual:
        rows.append(LayerSpec(f"{name}.add", "add", out, out, after, after, held=held))
    return tuple(rows)


def _squeeze_excite(name: str, middle: int, squeeze: int, area: int, held: int) -> list[LayerSpec]:
    """Pool, two fully connected layers, and the product with ``middle`` channels of ``area`` positions."""
    kept = held + middle * area
    reduce = LayerSpec(
        f"{name}.se.reduce", "linear", middle, squeeze, 1, 1, bias=True, activation="relu", held=kept
    )
    expand = LayerSpec(
        f"{name}.se.expand", "linear", squeeze, middle, 1, 1, bias=True, activation="h_sigmoid", held=kept
    )
    return [
        LayerSpec(f"{name}.se.pool", "pool", middle, middle, area, 1, held=held),
        reduce,
        expand,
        LayerSpec(f"{name}.se.scale", "scale", middle, middle, area, area, held=held),
    ]
