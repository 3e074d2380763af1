"""A subnet of inverted bottlenecks as a plain network: nothing elastic, ready to export."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from supernets.elastic.norm import BNStats
from supernets.elastic.plain import MeanPool, plain_conv, plain_layer, plain_linear, plain_norm
from supernets.families.mobile import NetPlan

if TYPE_CHECKING:
    from supernets.families.mobile_net import MobileNet


class PlainMobileNet(nn.Module):
    """Stem, blocks, head and classifier, in order.

    ``head`` holds, in order of execution, ``final_expand_layer`` (where there is one), ``pool`` and
    ``feature_mix_layer``.
    """

    def __init__(
        self,
        first_conv: nn.Module,
        blocks: list[nn.Module],
        head: dict[str, nn.Module],
        classifier: nn.Linear,
    ) -> None:
        super().__init__()
        self.first_conv = first_conv
        self.blocks = nn.Sequential(*blocks)
        self._head = tuple(head)
        for name, module in head.items():
            self.add_module(name, module)
        self.classifier = nn.Sequential()
        self.classifier.add_module("linear", classifier)

    @classmethod
    def cut_from(cls, net: MobileNet, plan: NetPlan, stats: BNStats | None) -> PlainMobileNet:
        """The network of ``plan`` with copies of the weights of ``net``."""
        settings, stem, linear = net.family.settings, net.first_conv, net.classifier.linear
        first = plain_layer(
            plain_conv(stem.conv.weight[: plan.stem], stride=settings.stem_stride),
            plain_norm("first_conv.bn", stem.bn, plan.stem, stats),
            settings.stem_activation,
        )
        blocks = [net.blocks[block.index].cut(block, stats) for block in plan.blocks]  # type: ignore[operator]
        return cls(first, blocks, _head(net, plan, stats), plain_linear(linear, plan.feature))

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(n, classes)`` for images ``(n, c, h, w)``."""
        x = self.blocks(self.first_conv(x))
        for name in self._head:
            x = getattr(self, name)(x)
        logits: Tensor = self.classifier(x.flatten(1))
        return logits


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
