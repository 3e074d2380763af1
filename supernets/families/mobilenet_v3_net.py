"""The elastic MobileNetV3 network; parameter names are those of the released once-for-all checkpoints."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor, nn

from supernets.elastic.active import ElasticModel
from supernets.elastic.conv import ElasticDepthwise, ElasticPointwise, ElasticSqueezeExcite
from supernets.elastic.norm import BNStats, ElasticNorm, Norm
from supernets.elastic.reorder import ChannelGroup
from supernets.families.mobilenet_v3 import (
    SE_REDUCTION,
    BlockPlan,
    MobileNetV3,
    MobileNetV3Config,
    Stage,
    make_divisible,
)
from supernets.families.mobilenet_v3_plain import PlainMobileNetV3
from supernets.spaces.space import Arch, Choice


def activate(name: str, x: Tensor) -> Tensor:
    """``relu`` or ``h_swish``."""
    return F.hardswish(x) if name == "h_swish" else F.relu(x)


class Holder(nn.Module):
    """Gives its children the names under which checkpoints store them."""

    def __init__(self, **children: nn.Module) -> None:
        super().__init__()
        for name, child in children.items():
            self.add_module(name, child)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


class ElasticBlock(nn.Module):
    """An inverted bottleneck: expand, depthwise, squeeze-excite, project, each sliced to the plan."""

    def __init__(
        self, name: str, config: MobileNetV3Config, stage: Stage, in_channels: int, stride: int
    ) -> None:
        super().__init__()
        self.path = name
        middle, out = (
            config.middle(in_channels, config.expansions[-1]),
            config.channels(stage.width, config.widths[-1]),
        )
        depthwise: dict[str, nn.Module] = {
            "conv": ElasticDepthwise(middle, config.kernels, stride),
            "bn": ElasticNorm(middle),
        }
        if stage.squeeze_excite:
            squeezed = make_divisible(middle // SE_REDUCTION, config.divisor)
            depthwise["se"] = ElasticSqueezeExcite(middle, squeezed)
        self.conv = Holder(
            inverted_bottleneck=Holder(conv=ElasticPointwise(in_channels, middle), bn=ElasticNorm(middle)),
            depth_conv=Holder(**depthwise),
            point_linear=Holder(conv=ElasticPointwise(middle, out), bn=ElasticNorm(out)),
        )

    def forward(self, x: Tensor, plan: BlockPlan, norm: Norm) -> Tensor:
        """Run the block of ``plan`` on ``(n, plan.in_channels, h, w)``."""
        expand, depth, project = self.conv.inverted_bottleneck, self.conv.depth_conv, self.conv.point_linear
        name = f"{self.path}.conv"
        y = expand.conv(x, plan.middle)
        y = activate(plan.activation, norm(f"{name}.inverted_bottleneck.bn.bn", expand.bn.bn, y))
        y = depth.conv(y, plan.kernel)
        y = activate(plan.activation, norm(f"{name}.depth_conv.bn.bn", depth.bn.bn, y))
        if plan.squeeze:
            y = depth.se(y, plan.squeeze)
        y = norm(f"{name}.point_linear.bn.bn", project.bn.bn, project.conv(y, plan.out_channels))
        return x + y if plan.residual else y


class FirstBlock(nn.Module):
    """The fixed block: depthwise 3x3 and pointwise, elastic in width only."""

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
        y = F.relu(norm("blocks.0.conv.depth_conv.bn", depth.bn, y))
        y = F.conv2d(y, project.conv.weight[: plan.out_channels, : plan.middle])
        y = norm("blocks.0.conv.point_linear.bn", project.bn, y)
        return x + y if plan.residual else y


class MobileNetV3Net(ElasticModel):
    """See :mod:`supernets.families.mobilenet_v3`."""

    family: MobileNetV3

    def __init__(self, family: MobileNetV3) -> None:
        super().__init__(family)
        config = family.settings
        plan = family.plan(family.space().max())
        self.first_conv = Holder(
            conv=nn.Conv2d(config.image_channels, plan.stem, 3, config.stem_stride, 1, bias=False),
            bn=nn.BatchNorm2d(plan.stem),
        )
        self.blocks = nn.ModuleList([FirstBlock(plan.stem, plan.blocks[0].out_channels)])
        for block in plan.blocks[1:]:
            stage = config.stages[block.stage - 1]
            name = f"blocks.{block.index}"
            self.blocks.append(ElasticBlock(name, config, stage, block.in_channels, block.stride))
        last = plan.blocks[-1].out_channels
        self.final_expand_layer = Holder(
            conv=nn.Conv2d(last, plan.head, 1, bias=False), bn=nn.BatchNorm2d(plan.head)
        )
        self.feature_mix_layer = Holder(conv=nn.Conv2d(plan.head, plan.feature, 1, bias=False))
        self.classifier = Holder(linear=nn.Linear(plan.feature, config.num_classes))
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
                nn.init.normal_(module.weight, 0, math.sqrt(2.0 / fan_out))
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
                nn.init.zeros_(module.bias)

    def run(self, x: Tensor, arch: Arch, norm: Norm, dropout: float) -> Tensor:
        """Logits ``(n, classes)`` of ``arch`` for images ``(n, c, h, w)``."""
        plan = self.family.plan(arch)
        x = F.conv2d(
            x, self.first_conv.conv.weight[: plan.stem], stride=self.family.settings.stem_stride, padding=1
        )
        x = F.hardswish(norm("first_conv.bn", self.first_conv.bn, x))
        for block in plan.blocks:
            x = self.blocks[block.index](x, block, norm)
        x = F.conv2d(x, self.final_expand_layer.conv.weight[: plan.head, : x.shape[1]])
        x = F.hardswish(norm("final_expand_layer.bn", self.final_expand_layer.bn, x))
        x = x.mean((2, 3), keepdim=True)
        x = F.hardswish(F.conv2d(x, self.feature_mix_layer.conv.weight[: plan.feature, : plan.head])).flatten(
            1
        )
        x = F.dropout(x, dropout, training=dropout > 0)
        linear: nn.Linear = self.classifier.linear
        return F.linear(x, linear.weight[:, : plan.feature], linear.bias)

    def materialise(self, arch: Arch, stats: BNStats | None) -> nn.Module:
        """A plain network with copies of the weights of ``arch``."""
        return PlainMobileNetV3.cut_from(self, self.family.plan(arch), stats)

    def residual_norms(self) -> list[nn.BatchNorm2d]:
        """The last BatchNorm of every block that has a residual in some subnet."""
        plan = self.family.plan(self.family.space().max())
        norms = self.norms()
        return [
            norms[f"blocks.{b.index}.conv.point_linear.bn" + (".bn" if b.expands else "")]
            for b in plan.blocks
            if b.residual
        ]

    def channel_groups(self) -> list[ChannelGroup]:
        """The middle channels of every elastic block, and those inside its squeeze-excite."""
        family, settings = self.family, self.family.settings
        groups = []
        for block in family.plan(family.space().max()).blocks[1:]:
            own = block.index - 1 - (block.stage - 1) * settings.depths[-1] + 1
            expand = f"stage{block.stage}.block{own}.expand"
            options = {"width": settings.widths, expand: settings.expansions}
            axes = tuple(axis for axis, choices in options.items() if len(choices) > 1)
            plans: dict[tuple[Choice, ...], BlockPlan] = {
                choices: family._block(
                    dict(zip(axes, choices, strict=True)) | _kernel(family, block, own), block.stage, own
                )
                for choices in itertools.product(*(options[axis] for axis in axes))
            }
            groups += _groups(f"blocks.{block.index}.conv", axes, plans)
        return groups


def _kernel(family: MobileNetV3, block: BlockPlan, own: int) -> dict[str, Choice]:
    kernels = family.settings.kernels
    return {f"stage{block.stage}.block{own}.kernel": kernels[-1]} if len(kernels) > 1 else {}


def _groups(
    path: str, axes: tuple[str, ...], plans: dict[tuple[Choice, ...], BlockPlan]
) -> list[ChannelGroup]:
    """The groups of one block, whose plan is known for every combination of choices of ``axes``."""
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
