"""Inverted bottleneck blocks (Sandler et al., 2018) whose kernel, width and squeeze-excite are elastic."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from supernets.elastic.holder import Holder
from supernets.elastic.layers.conv import ElasticDepthwise, ElasticSqueezeExcite
from supernets.elastic.layers.conv_norm import ConvNorm
from supernets.elastic.norm import BNStats, ElasticNorm, Norm
from supernets.elastic.plain import (
    PlainBlock,
    SqueezeExcite,
    activate,
    add,
    plain_conv,
    plain_layer,
    plain_norm,
)
from supernets.elastic.reorder import ChannelGroup
from supernets.spaces.inverted_bottleneck import BlockPlan
from supernets.spaces.space import Choice


class ElasticBlock(nn.Module):
    """Expand, depthwise, squeeze-excite, project, each a slice that the plan sizes.

    ``path`` is its name in the network and ``largest`` the plan of its widest form.
    """

    def __init__(self, path: str, largest: BlockPlan, kernels: tuple[int, ...]) -> None:
        super().__init__()
        middle, out = largest.middle, largest.out_channels
        depthwise: dict[str, nn.Module] = {
            "conv": ElasticDepthwise(middle, kernels, largest.stride),
            "bn": ElasticNorm(middle),
        }
        if largest.squeeze:
            depthwise["se"] = ElasticSqueezeExcite(middle, largest.squeeze)
        name = f"{path}.conv"
        self.conv = Holder(
            inverted_bottleneck=ConvNorm(f"{name}.inverted_bottleneck", largest.in_channels, middle),
            depth_conv=Holder(**depthwise),
            point_linear=ConvNorm(f"{name}.point_linear", middle, out),
        )
        self.path = f"{name}.depth_conv.bn.bn"

    def forward(self, x: Tensor, plan: BlockPlan, norm: Norm) -> Tensor:
        """Run the block of ``plan`` on ``(n, plan.in_channels, h, w)``."""
        depth = self.conv.depth_conv
        y: Tensor = self.conv.inverted_bottleneck(x, plan.middle, norm, plan.activation)
        y = activate(plan.activation, norm(self.path, depth.bn.bn, depth.conv(y, plan.kernel)))
        if plan.squeeze:
            y = depth.se(y, plan.squeeze)
        y = self.conv.point_linear(y, plan.out_channels, norm)
        return add(y, x) if plan.residual else y

    def cut(self, plan: BlockPlan, stats: BNStats | None) -> PlainBlock:
        """The block of ``plan`` as a plain one with copies of the weights."""
        depth, m = self.conv.depth_conv, plan.middle
        depth_layer = plain_layer(
            plain_conv(depth.conv.weight(m, plan.kernel), stride=plan.stride, groups=m),
            plain_norm(self.path, depth.bn.bn, m, stats),
            plan.activation,
        )
        if plan.squeeze:
            reduce, widen = depth.se.parts(m, plan.squeeze)
            depth_layer.add_module("se", SqueezeExcite(plain_conv(*reduce), plain_conv(*widen)))
        layers = {
            "inverted_bottleneck": self.conv.inverted_bottleneck.cut(
                plan.in_channels, m, stats, plan.activation
            ),
            "depth_conv": depth_layer,
            "point_linear": self.conv.point_linear.cut(m, plan.out_channels, stats),
        }
        return PlainBlock(layers, plan.residual)


class FirstBlock(nn.Module):
    """The fixed block: depthwise 3x3 and pointwise, elastic in width only."""

    path = "blocks.0"

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = Holder(
            depth_conv=Holder(
                conv=nn.Conv2d(in_channels, in_channels, 3, 1, 1, groups=in_channels, bias=False),
                bn=nn.BatchNorm2d(in_channels),
            ),
            point_linear=Holder(
                conv=nn.Conv2d(in_channels, out_channels, 1, bias=False), bn=nn.BatchNorm2d(out_channels)
            ),
        )

    def forward(self, x: Tensor, plan: BlockPlan, norm: Norm) -> Tensor:
        """Run the block on ``(n, plan.in_channels, h, w)``."""
        depth, project = self.conv.depth_conv, self.conv.point_linear
        y = F.conv2d(x, depth.conv.weight[: plan.middle], padding=1, groups=plan.middle)
        y = activate(plan.activation, norm(f"{self.path}.conv.depth_conv.bn", depth.bn, y))
        y = F.conv2d(y, project.conv.weight[: plan.out_channels, : plan.middle])
        y = norm(f"{self.path}.conv.point_linear.bn", project.bn, y)
        return add(y, x) if plan.residual else y

    def cut(self, plan: BlockPlan, stats: BNStats | None) -> PlainBlock:
        """The block of ``plan`` as a plain one with copies of the weights."""
        depth, project = self.conv.depth_conv, self.conv.point_linear
        m, o = plan.middle, plan.out_channels
        depth_layer = plain_layer(
            plain_conv(depth.conv.weight[:m], groups=m),
            plain_norm(f"{self.path}.conv.depth_conv.bn", depth.bn, m, stats),
            plan.activation,
        )
        project_layer = plain_layer(
            plain_conv(project.conv.weight[:o, :m]),
            plain_norm(f"{self.path}.conv.point_linear.bn", project.bn, o, stats),
            None,
        )
        return PlainBlock({"depth_conv": depth_layer, "point_linear": project_layer}, plan.residual)


def block_groups(
    path: str, axes: tuple[str, ...], plans: dict[tuple[Choice, ...], BlockPlan]
) -> list[ChannelGroup]:
    """The middle channels of the block at ``path`` and those inside its squeeze-excite.

    ``plans`` holds the block's plan for every combination of choices of ``axes``.
    """
    expand, depth, project = f"{path}.inverted_bottleneck", f"{path}.depth_conv", f"{path}.point_linear"
    norms = [
        f"{part}.bn.bn.{kind}"
        for part in (expand, depth)
        for kind in ("weight", "bias", "running_mean", "running_var")
    ]
    middle = [
        (f"{expand}.conv.conv.weight", 0),
        (f"{depth}.conv.conv.weight", 0),
        *((name, 0) for name in norms),
    ]
    middle.append((f"{project}.conv.conv.weight", 1))
    squeeze = {choices: plan.squeeze for choices, plan in plans.items() if plan.squeeze is not None}
    groups = []
    if squeeze:
        reduce, back = f"{depth}.se.fc.reduce", f"{depth}.se.fc.expand"
        middle += [(f"{reduce}.weight", 1), (f"{back}.weight", 0), (f"{back}.bias", 0)]
        inner = ((f"{reduce}.weight", 0), (f"{reduce}.bias", 0), (f"{back}.weight", 1))
        groups.append(ChannelGroup(f"{path}.se", (f"{back}.weight", 1), inner, axes, squeeze))
    sizes = {choices: plan.middle for choices, plan in plans.items()}
    outer = ChannelGroup(f"{path}.middle", (f"{project}.conv.conv.weight", 1), tuple(middle), axes, sizes)
    return [outer, *groups]
