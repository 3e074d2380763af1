"""The elastic network of inverted bottlenecks; parameters are named as in the released once-for-all checkpoints."""

from __future__ import annotations

import itertools

import torch.nn.functional as F
from torch import Tensor, nn

from supernets.elastic.active import ElasticModel, Inputs
from supernets.elastic.holder import Holder
from supernets.elastic.initial import initialise
from supernets.elastic.layers.inverted_bottleneck import ElasticBlock, FirstBlock, block_groups
from supernets.elastic.norm import BNStats, Norm
from supernets.elastic.plain import (
    MeanPool,
    activate,
    pixel_conv,
    plain_conv,
    plain_layer,
    plain_linear,
    plain_norm,
)
from supernets.elastic.reorder import ChannelGroup
from supernets.families.convolutional.mobile import MobileFamily, NetPlan
from supernets.families.convolutional.mobile_plain import PlainMobileNet
from supernets.spaces.inverted_bottleneck import BlockPlan
from supernets.spaces.space import Arch, Choice


class MobileNet(ElasticModel):
    """See :mod:`supernets.families.convolutional.mobile`."""

    family: MobileFamily
    norms_may_overwrite = True

    def __init__(self, family: MobileFamily) -> None:
        super().__init__(family)
        config = family.settings
        plan = family.plan(family.space().max())
        self.first_conv = Holder(
            conv=nn.Conv2d(config.image_channels, plan.stem, 3, config.stem_stride, 1, bias=False),
            bn=nn.BatchNorm2d(plan.stem),
        )
        self.blocks = nn.ModuleList([FirstBlock(plan.stem, plan.blocks[0].out_channels)])
        for block in plan.blocks[1:]:
            self.blocks.append(ElasticBlock(f"blocks.{block.index}", block, config.kernels))
        last = plan.blocks[-1].out_channels
        if plan.head is None:
            self.feature_mix_layer = Holder(
                conv=nn.Conv2d(last, plan.feature, 1, bias=False), bn=nn.BatchNorm2d(plan.feature)
            )
        else:
            self.final_expand_layer = Holder(
                conv=nn.Conv2d(last, plan.head, 1, bias=False), bn=nn.BatchNorm2d(plan.head)
            )
            self.feature_mix_layer = Holder(conv=nn.Conv2d(plan.head, plan.feature, 1, bias=False))
        self.classifier = Holder(linear=nn.Linear(plan.feature, config.num_classes))
        initialise(self, config.norm_eps)

    def run(self, inputs: Inputs, arch: Arch, norm: Norm, dropout: float) -> Tensor:
        """Outputs ``(n, outputs)`` of ``arch`` for images ``(n, c, h, w)``."""
        (x,) = inputs
        plan, settings = self.family.plan(arch), self.family.settings
        x = F.conv2d(x, self.first_conv.conv.weight[: plan.stem], stride=settings.stem_stride, padding=1)
        x = activate(settings.stem_activation, norm("first_conv.bn", self.first_conv.bn, x))
        for block in plan.blocks:
            x = self.blocks[block.index](x, block, norm)
        mix, act = self.feature_mix_layer, settings.head_activation
        if plan.head is None:
            x = F.conv2d(x, mix.conv.weight[: plan.feature, : x.shape[1]])
            x = activate(act, norm("feature_mix_layer.bn", mix.bn, x)).mean((2, 3))
        else:
            expand = self.final_expand_layer
            x = F.conv2d(x, expand.conv.weight[: plan.head, : x.shape[1]])
            x = activate(act, norm("final_expand_layer.bn", expand.bn, x)).mean((2, 3), keepdim=True)
            x = activate(act, pixel_conv(x, mix.conv.weight[: plan.feature, : plan.head])).flatten(1)
        x = F.dropout(x, dropout, training=dropout > 0)
        linear: nn.Linear = self.classifier.linear
        return F.linear(x, linear.weight[:, : plan.feature], linear.bias)

    def materialise(self, arch: Arch, stats: BNStats | None) -> nn.Module:
        """A plain network with copies of the weights of ``arch``."""
        return _cut(self, self.family.plan(arch), stats)

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
        for largest in family.plan(family.space().max()).blocks[1:]:
            own = largest.index - settings.block_index(largest.stage, 0)
            name = f"stage{largest.stage}.block{own}"
            options = {"width": settings.widths, f"{name}.expand": settings.expansions}
            axes = tuple(axis for axis, choices in options.items() if len(choices) > 1)
            kernels = settings.kernels
            fixed: dict[str, Choice] = {f"{name}.kernel": kernels[-1]} if len(kernels) > 1 else {}
            plans: dict[tuple[Choice, ...], BlockPlan] = {
                choices: family.block(dict(zip(axes, choices, strict=True)) | fixed, largest.stage, own)
                for choices in itertools.product(*(options[axis] for axis in axes))
            }
            groups += block_groups(f"blocks.{largest.index}.conv", axes, plans)
        return groups


def _cut(net: MobileNet, plan: NetPlan, stats: BNStats | None) -> PlainMobileNet:
    """The plain network of ``plan`` with copies of the weights of ``net``."""
    settings, stem, linear = net.family.settings, net.first_conv, net.classifier.linear
    first = plain_layer(
        plain_conv(stem.conv.weight[: plan.stem], stride=settings.stem_stride),
        plain_norm("first_conv.bn", stem.bn, plan.stem, stats),
        settings.stem_activation,
    )
    blocks = [net.blocks[block.index].cut(block, stats) for block in plan.blocks]  # type: ignore[operator]
    return PlainMobileNet(first, blocks, _head(net, plan, stats), plain_linear(linear, plan.feature))


def _head(net: MobileNet, plan: NetPlan, stats: BNStats | None) -> dict[str, nn.Module]:
    activation, mix, last = (
        net.family.settings.head_activation,
        net.feature_mix_layer,
        plan.blocks[-1].out_channels,
    )
    if plan.head is None:
        conv = plain_conv(mix.conv.weight[: plan.feature, :last])
        norm = plain_norm("feature_mix_layer.bn", mix.bn, plan.feature, stats)
        return {"feature_mix_layer": plain_layer(conv, norm, activation), "pool": MeanPool()}
    expand = net.final_expand_layer
    conv = plain_conv(expand.conv.weight[: plan.head, :last])
    norm = plain_norm("final_expand_layer.bn", expand.bn, plan.head, stats)
    return {
        "final_expand_layer": plain_layer(conv, norm, activation),
        "pool": MeanPool(),
        "feature_mix_layer": plain_layer(
            plain_conv(mix.conv.weight[: plan.feature, : plan.head]), None, activation
        ),
    }
