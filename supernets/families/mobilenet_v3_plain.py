"""A MobileNetV3 subnet as a plain network: nothing elastic, ready to export."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from supernets.elastic.norm import BNStats
from supernets.families.mobilenet_v3 import BlockPlan, NetPlan

if TYPE_CHECKING:
    from supernets.families.mobilenet_v3_net import ElasticBlock, FirstBlock, MobileNetV3Net

ACTIVATION_MODULES: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "h_swish": nn.Hardswish}


def _conv(weight: Tensor, bias: Tensor | None = None, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution with a copy of ``weight`` ``(out, in / groups, k, k)``."""
    out_channels, in_per_group, kernel, _ = weight.shape
    conv = nn.Conv2d(
        in_per_group * groups, out_channels, kernel, stride, kernel // 2, groups=groups, bias=bias is not None
    )
    with torch.no_grad():
        conv.weight.copy_(weight)
        if bias is not None and conv.bias is not None:
            conv.bias.copy_(bias)
    return conv


def _norm(name: str, bn: nn.BatchNorm2d, channels: int, stats: BNStats | None) -> nn.BatchNorm2d:
    """A BatchNorm with copies of the first ``channels`` entries and the statistics of the arch."""
    plain = nn.BatchNorm2d(channels, eps=bn.eps)
    assert bn.running_mean is not None and bn.running_var is not None
    assert plain.running_mean is not None and plain.running_var is not None
    mean, variance = stats.values[name] if stats else (bn.running_mean[:channels], bn.running_var[:channels])
    with torch.no_grad():
        plain.weight.copy_(bn.weight[:channels])
        plain.bias.copy_(bn.bias[:channels])
        plain.running_mean.copy_(mean)
        plain.running_var.copy_(variance)
    return plain


class SqueezeExcite(nn.Module):
    """Channel attention (Hu et al., 2018)."""

    def __init__(self, reduce: nn.Conv2d, expand: nn.Conv2d) -> None:
        super().__init__()
        self.fc = nn.Sequential()
        for name, module in (
            ("reduce", reduce),
            ("relu", nn.ReLU()),
            ("expand", expand),
            ("h_sigmoid", nn.Hardsigmoid()),
        ):
            self.fc.add_module(name, module)

    def forward(self, x: Tensor) -> Tensor:
        """Scale ``(n, c, h, w)`` channel by channel."""
        scaled: Tensor = x * self.fc(x.mean((2, 3), keepdim=True))
        return scaled


class Block(nn.Module):
    """A chain of layers, added to its input where the block is residual."""

    def __init__(self, layers: dict[str, nn.Sequential], residual: bool) -> None:
        super().__init__()
        self.conv = nn.Sequential()
        for name, layer in layers.items():
            self.conv.add_module(name, layer)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to ``(n, c', h / stride, w / stride)``."""
        y: Tensor = self.conv(x)
        return x + y if self.residual else y


class MeanPool(nn.Module):
    """Mean over height and width, kept as 1 x 1."""

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to ``(n, c, 1, 1)``."""
        return x.mean((2, 3), keepdim=True)


def _layer(conv: nn.Conv2d, bn: nn.BatchNorm2d | None, activation: str | None) -> nn.Sequential:
    layer = nn.Sequential()
    layer.add_module("conv", conv)
    if bn is not None:
        layer.add_module("bn", bn)
    if activation is not None:
        layer.add_module("act", ACTIVATION_MODULES[activation]())
    return layer


def _first_block(block: FirstBlock, plan: BlockPlan, stats: BNStats | None) -> Block:
    depth, project = block.conv.depth_conv, block.conv.point_linear
    m, o = plan.middle, plan.out_channels
    return Block(
        {
            "depth_conv": _layer(
                _conv(depth.conv.weight[:m], groups=m),
                _norm("blocks.0.conv.depth_conv.bn", depth.bn, m, stats),
                "relu",
            ),
            "point_linear": _layer(
                _conv(project.conv.weight[:o, :m]),
                _norm("blocks.0.conv.point_linear.bn", project.bn, o, stats),
                None,
            ),
        },
        plan.residual,
    )


def _elastic_block(block: ElasticBlock, plan: BlockPlan, stats: BNStats | None) -> Block:
    expand, depth, project = block.conv.inverted_bottleneck, block.conv.depth_conv, block.conv.point_linear
    name, m, o = f"{block.path}.conv", plan.middle, plan.out_channels
    depth_layer = _layer(
        _conv(depth.conv.weight(m, plan.kernel), stride=plan.stride, groups=m),
        _norm(f"{name}.depth_conv.bn.bn", depth.bn.bn, m, stats),
        plan.activation,
    )
    if plan.squeeze:
        reduce, widen = depth.se.parts(m, plan.squeeze)
        depth_layer.add_module("se", SqueezeExcite(_conv(*reduce), _conv(*widen)))
    return Block(
        {
            "inverted_bottleneck": _layer(
                _conv(expand.conv.weight(plan.in_channels, m)),
                _norm(f"{name}.inverted_bottleneck.bn.bn", expand.bn.bn, m, stats),
                plan.activation,
            ),
            "depth_conv": depth_layer,
            "point_linear": _layer(
                _conv(project.conv.weight(m, o)),
                _norm(f"{name}.point_linear.bn.bn", project.bn.bn, o, stats),
                None,
            ),
        },
        plan.residual,
    )


class PlainMobileNetV3(nn.Module):
    """Stem, blocks, head and classifier, in order."""

    def __init__(
        self, first_conv: nn.Module, blocks: list[Block], head: dict[str, nn.Module], classifier: nn.Linear
    ) -> None:
        super().__init__()
        self.first_conv = first_conv
        self.blocks = nn.Sequential(*blocks)
        self.final_expand_layer = head["expand"]
        self.pool = MeanPool()
        self.feature_mix_layer = head["mix"]
        self.classifier = nn.Sequential()
        self.classifier.add_module("linear", classifier)

    @classmethod
    def cut_from(cls, net: MobileNetV3Net, plan: NetPlan, stats: BNStats | None) -> PlainMobileNetV3:
        """The network of ``plan`` with copies of the weights of ``net``."""
        stem, expand, mix, linear = (
            net.first_conv,
            net.final_expand_layer,
            net.feature_mix_layer,
            net.classifier.linear,
        )
        blocks = []
        for block in plan.blocks:
            cut: Callable[[Any, BlockPlan, BNStats | None], Block] = (
                _elastic_block if block.expands else _first_block
            )
            blocks.append(cut(net.blocks[block.index], block, stats))
        last = plan.blocks[-1].out_channels
        classifier = nn.Linear(plan.feature, linear.out_features)
        with torch.no_grad():
            classifier.weight.copy_(linear.weight[:, : plan.feature])
            classifier.bias.copy_(linear.bias)
        return cls(
            _layer(
                _conv(stem.conv.weight[: plan.stem], stride=net.family.settings.stem_stride),
                _norm("first_conv.bn", stem.bn, plan.stem, stats),
                "h_swish",
            ),
            blocks,
            {
                "expand": _layer(
                    _conv(expand.conv.weight[: plan.head, :last]),
                    _norm("final_expand_layer.bn", expand.bn, plan.head, stats),
                    "h_swish",
                ),
                "mix": _layer(_conv(mix.conv.weight[: plan.feature, : plan.head]), None, "h_swish"),
            },
            classifier,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(n, classes)`` for images ``(n, c, h, w)``."""
        x = self.final_expand_layer(self.blocks(self.first_conv(x)))
        logits: Tensor = self.classifier(self.feature_mix_layer(self.pool(x)).flatten(1))
        return logits
