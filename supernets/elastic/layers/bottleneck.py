"""Bottleneck blocks of ResNet-D (He et al., 2019) that are elastic in width and expansion."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from supernets.elastic.layers.conv_norm import ConvNorm
from supernets.elastic.norm import BNStats, Norm
from supernets.elastic.reorder import ChannelGroup
from supernets.spaces.bottleneck import BottleneckPlan
from supernets.spaces.space import Choice


class ElasticBottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut; ``largest`` is the plan of its widest form."""

    def __init__(self, path: str, largest: BottleneckPlan) -> None:
        super().__init__()
        entering, middle, out = largest.in_channels, largest.middle, largest.out_channels
        self.conv1 = ConvNorm(f"{path}.conv1", entering, middle)
        self.conv2 = ConvNorm(f"{path}.conv2", middle, middle, 3, largest.stride)
        self.conv3 = ConvNorm(f"{path}.conv3", middle, out)
        if largest.projects:
            self.downsample = ConvNorm(f"{path}.downsample", entering, out)

    def forward(self, x: Tensor, plan: BottleneckPlan, norm: Norm) -> Tensor:
        """Run the block of ``plan`` on ``(n, plan.in_channels, h, w)``."""
        shortcut = self.downsample(pool(x, plan.stride), plan.out_channels, norm) if plan.projects else x
        y = self.conv1(x, plan.middle, norm, "relu")
        y = self.conv2(y, plan.middle, norm, "relu")
        return F.relu(self.conv3(y, plan.out_channels, norm) + shortcut)

    def cut(self, plan: BottleneckPlan, stats: BNStats | None) -> PlainBottleneck:
        """The block of ``plan`` as a plain one with copies of the weights."""
        entering, middle, out = plan.in_channels, plan.middle, plan.out_channels
        shortcut = self.downsample.cut(entering, out, stats) if plan.projects else None
        return PlainBottleneck(
            self.conv1.cut(entering, middle, stats, "relu"),
            self.conv2.cut(middle, middle, stats, "relu"),
            self.conv3.cut(middle, out, stats),
            shortcut,
            plan.stride,
        )


def pool(x: Tensor, stride: int) -> Tensor:
    """Mean of ``stride`` x ``stride`` windows; those at the border may be smaller."""
    return x if stride == 1 else F.avg_pool2d(x, stride, stride, ceil_mode=True)


class PlainBottleneck(nn.Module):
    """A bottleneck block of fixed width."""

    def __init__(
        self,
        conv1: nn.Module,
        conv2: nn.Module,
        conv3: nn.Module,
        shortcut: nn.Sequential | None,
        stride: int,
    ) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = conv1, conv2, conv3
        self.downsample: nn.Module = nn.Identity()
        if shortcut is not None:
            self.downsample = shortcut
            if stride > 1:
                average = nn.AvgPool2d(stride, stride, ceil_mode=True)
                self.downsample = nn.Sequential()
                self.downsample.add_module("avg_pool", average)
                for name, module in shortcut.named_children():
                    self.downsample.add_module(name, module)
        self.final_act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to ``(n, c', h / stride, w / stride)``."""
        y: Tensor = self.final_act(self.conv3(self.conv2(self.conv1(x))) + self.downsample(x))
        return y


def bottleneck_groups(
    path: str, axes: tuple[str, ...], sizes: dict[tuple[Choice, ...], int]
) -> list[ChannelGroup]:
    """The channels between the convolutions of the block at ``path``, in two groups."""

    def group(writes: str, reads: str) -> ChannelGroup:
        norms: list[Any] = [
            (f"{path}.{writes}.bn.bn.{kind}", 0) for kind in ("weight", "bias", "running_mean", "running_var")
        ]
        read = (f"{path}.{reads}.conv.conv.weight", 1)
        members = ((f"{path}.{writes}.conv.conv.weight", 0), *norms, read)
        return ChannelGroup(f"{path}.{writes}", read, members, axes, sizes)

    return [group("conv2", "conv3"), group("conv1", "conv2")]
