"""The bottleneck block of ResNet-D (He et al., 2016; He et al., 2019) as a plan and as rows of layers. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from supernets.spaces.layers import LayerSpec


@dataclass(frozen=True, slots=True)
class BottleneckPlan:
    """One block of a concrete subnet; ``index`` counts all blocks of the supernet, skipped ones included.

    ``projects``: the shortcut pools by ``stride`` and is a convolution, not the identity.
    """

    index: int
    in_channels: int
    middle: int
    out_channels: int
    stride: int
    projects: bool


@lru_cache(maxsize=16_384)
def bottleneck_layers(name: str, plan: BottleneckPlan, side: int) -> tuple[LayerSpec, ...]:
    """Rows of one block that reads a ``side`` x ``side`` tensor, the shortcut first."""
    area, after = side**2, (-(-side // plan.stride)) ** 2
    entering, middle, out = plan.in_channels, plan.middle, plan.out_channels
    rows: list[LayerSpec] = []
    held = entering * area
    if plan.projects:
        if plan.stride > 1:
            rows.append(
                LayerSpec(
                    f"{name}.shortcut.pool", "pool", entering, entering, area, after, plan.stride, plan.stride
                )
            )
        rows.append(LayerSpec(f"{name}.shortcut", "conv", entering, out, after, after, norm=True, held=held))
        held = out * after
    first = held if plan.projects else 0  # the identity's input is the first convolution's own
    return (
        *rows,
        LayerSpec(f"{name}.reduce", "conv", entering, middle, area, area, norm=True, activation="relu", held=first),
        LayerSpec(
            f"{name}.conv", "conv", middle, middle, area, after, 3, plan.stride, norm=True, activation="relu", held=held
        ),
        LayerSpec(f"{name}.expand", "conv", middle, out, after, after, norm=True, held=held),
        LayerSpec(f"{name}.add", "add", out, out, after, after, activation="relu", held=held),
    )  # fmt: skip
