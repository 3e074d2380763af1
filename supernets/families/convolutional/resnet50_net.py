"""The elastic ResNet-50D; parameters are named as in the released once-for-all checkpoint."""

from __future__ import annotations

import itertools

import torch.nn.functional as F
from torch import Tensor, nn

from supernets.elastic.active import ElasticModel, Inputs
from supernets.elastic.holder import Holder
from supernets.elastic.initial import initialise
from supernets.elastic.layers.bottleneck import ElasticBottleneck, bottleneck_groups
from supernets.elastic.layers.conv_norm import ConvNorm
from supernets.elastic.norm import BNStats, Norm
from supernets.elastic.plain import MeanPool, PlainBlock, plain_linear
from supernets.elastic.reorder import ChannelGroup
from supernets.families.convolutional.resnet import ResNetFamily, ResNetPlan
from supernets.spaces.bottleneck import BottleneckPlan
from supernets.spaces.space import Arch, Choice


class ResNetNet(ElasticModel):
    """See :mod:`supernets.families.convolutional.resnet`."""

    family: ResNetFamily
    norms_may_overwrite = True

    def __init__(self, family: ResNetFamily) -> None:
        super().__init__(family)
        config = family.settings
        plan = family.plan(family.space().max())
        self.input_stem = nn.ModuleList(
            [
                ConvNorm("input_stem.0", config.image_channels, plan.middle, 3, 2),
                Holder(conv=ConvNorm("input_stem.1.conv", plan.middle, plan.middle, 3)),
                ConvNorm("input_stem.2", plan.middle, plan.stem, 3),
            ]
        )
        self.blocks = nn.ModuleList(
            ElasticBottleneck(f"blocks.{block.index}", block) for block in plan.blocks
        )
        width = plan.blocks[-1].out_channels
        self.classifier = Holder(linear=Holder(linear=nn.Linear(width, config.num_classes)))
        initialise(self, config.norm_eps)

    def run(self, inputs: Inputs, arch: Arch, norm: Norm, dropout: float) -> Tensor:
        """Outputs ``(n, outputs)`` of ``arch`` for images ``(n, c, h, w)``."""
        (x,) = inputs
        plan = self.family.plan(arch)
        first, second, third = self.input_stem
        x = first(x, plan.middle, norm, "relu")
        if plan.stem_residual:
            x = x + second.conv(x, plan.middle, norm, "relu")  # type: ignore[operator]
        x = F.max_pool2d(third(x, plan.stem, norm, "relu"), 3, 2, 1)
        for block in plan.blocks:
            x = self.blocks[block.index](x, block, norm)
        x = F.dropout(x.mean((2, 3)), dropout, training=dropout > 0)
        linear: nn.Linear = self.classifier.linear.linear
        return F.linear(x, linear.weight[:, : x.shape[1]], linear.bias)

    def materialise(self, arch: Arch, stats: BNStats | None) -> nn.Module:
        """A plain network with copies of the weights of ``arch``."""
        return PlainResNet.cut_from(self, self.family.plan(arch), stats)

    def residual_norms(self) -> list[nn.BatchNorm2d]:
        """The last BatchNorm of every block."""
        norms = self.norms()
        return [norms[f"blocks.{index}.conv3.bn.bn"] for index in range(len(self.blocks))]

    def channel_groups(self) -> list[ChannelGroup]:
        """The channels between the convolutions of every block."""
        family, settings = self.family, self.family.settings
        largest = family.space().max().as_dict()
        groups = []
        for stage in range(1, len(settings.base_depths) + 1):
            for block in range(1, settings.blocks(stage) + 1):
                options = {
                    f"stage{stage}.width": settings.widths,
                    f"stage{stage}.block{block}.expand": settings.expansions,
                }
                axes = tuple(axis for axis, choices in options.items() if len(choices) > 1)
                plans: dict[tuple[Choice, ...], BottleneckPlan] = {
                    choices: family.block(largest | dict(zip(axes, choices, strict=True)), stage, block)
                    for choices in itertools.product(*(options[axis] for axis in axes))
                }
                index = next(iter(plans.values())).index
                sizes = {choices: plan.middle for choices, plan in plans.items()}
                groups += bottleneck_groups(f"blocks.{index}", axes, sizes)
        return groups


class PlainResNet(nn.Module):
    """Stem, blocks, pooling and classifier of a subnet, nothing elastic."""

    def __init__(self, stem: list[nn.Module], blocks: list[nn.Module], classifier: nn.Linear) -> None:
        super().__init__()
        self.input_stem = nn.Sequential(*stem)
        self.max_pooling = nn.MaxPool2d(3, 2, 1)
        self.blocks = nn.Sequential(*blocks)
        self.pool = MeanPool()
        self.classifier = nn.Sequential()
        self.classifier.add_module("linear", classifier)

    @classmethod
    def cut_from(cls, net: ResNetNet, plan: ResNetPlan, stats: BNStats | None) -> PlainResNet:
        """The network of ``plan`` with copies of the weights of ``net``."""
        first, second, third = net.input_stem
        stem = [first.cut(net.family.settings.image_channels, plan.middle, stats, "relu")]  # type: ignore[operator]
        if plan.stem_residual:
            layer = second.conv.cut(plan.middle, plan.middle, stats, "relu")  # type: ignore[union-attr, operator]
            stem.append(PlainBlock({"layer": layer}, residual=True))
        stem.append(third.cut(plan.middle, plan.stem, stats, "relu"))  # type: ignore[operator]
        blocks = [net.blocks[block.index].cut(block, stats) for block in plan.blocks]  # type: ignore[operator]
        classifier = plain_linear(net.classifier.linear.linear, plan.blocks[-1].out_channels)
        return cls(stem, blocks, classifier)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(n, classes)`` for images ``(n, c, h, w)``."""
        x = self.blocks(self.max_pooling(self.input_stem(x)))
        logits: Tensor = self.classifier(self.pool(x).flatten(1))
        return logits
