"""The networks that ``benchmarks.any_network_training`` converts, at any width."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTH = 16
"""Width of a base."""
EXPANSION = 4


class Block(nn.Module):
    """Two 3x3 convolutions around an identity, or a 1x1 convolution where sizes change."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.one = nn.Sequential(_conv(before, after, 3, stride), nn.BatchNorm2d(after))
        self.two = nn.Sequential(_conv(after, after, 3, 1), nn.BatchNorm2d(after))
        same = stride == 1 and before == after
        self.short = (
            nn.Identity() if same else nn.Sequential(_conv(before, after, 1, stride), nn.BatchNorm2d(after))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, before, h, w)`` to ``(n, after, h / stride, w / stride)``."""
        return F.relu(self.two(F.relu(self.one(x))) + self.short(x))


class Inverted(nn.Module):
    """A depthwise 3x3 convolution between two 1x1 convolutions, around an identity where sizes stay."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        inner = EXPANSION * before
        self.expand = nn.Sequential(_conv(before, inner, 1, 1), nn.BatchNorm2d(inner), nn.ReLU6())
        self.depthwise = nn.Sequential(
            _conv(inner, inner, 3, stride, groups=inner), nn.BatchNorm2d(inner), nn.ReLU6()
        )
        self.project = nn.Sequential(_conv(inner, after, 1, 1), nn.BatchNorm2d(after))
        self.same = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, before, h, w)`` to ``(n, after, h / stride, w / stride)``."""
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.same else y


def _conv(before: int, after: int, kernel: int, stride: int, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False)


def resnet(blocks: int, width: float = WIDTH, classes: int = 10) -> nn.Module:
    """A ResNet for small images: three stages of ``blocks`` blocks, the width doubling twice."""
    widths = [max(1, round(width * 2**stage)) for stage in range(3)]
    layers: list[nn.Module] = [_conv(3, widths[0], 3, 1), nn.BatchNorm2d(widths[0]), nn.ReLU()]
    before = widths[0]
    for stage, place in itertools.product(range(3), range(blocks)):
        layers.append(Block(before, widths[stage], 2 if stage and not place else 1))
        before = widths[stage]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes))


def mobilenet(blocks: int, width: float = WIDTH, classes: int = 10) -> nn.Module:
    """A MobileNetV2 for small images: three stages of ``blocks + 1`` blocks, and a last 1x1 convolution."""
    widths = [max(1, round(width * factor)) for factor in (1, 1.5, 2.5)]
    layers: list[nn.Module] = [_conv(3, widths[0], 3, 1), nn.BatchNorm2d(widths[0]), nn.ReLU6()]
    before = widths[0]
    for stage, place in itertools.product(range(3), range(blocks + 1)):
        layers.append(Inverted(before, widths[stage], 2 if stage and not place else 1))
        before = widths[stage]
    last = EXPANSION * before
    layers += [_conv(before, last, 1, 1), nn.BatchNorm2d(last), nn.ReLU6()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(last, classes))


NETS: dict[str, Callable[[int, float], nn.Module]] = {"resnet": resnet, "mobilenet": mobilenet}


@torch.no_grad()
def macs(net: nn.Module) -> float:
    """Multiplications of the convolutions and linear layers for one image of 32x32."""
    found = []

    def count(layer: nn.Module, _: object, output: Tensor) -> None:
        weight = layer.weight
        assert isinstance(weight, Tensor)
        found.append(output.numel() * weight[0].numel())

    hooks = [m.register_forward_hook(count) for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    net.eval()(torch.zeros(1, 3, 32, 32))
    for hook in hooks:
        hook.remove()
    return float(sum(found))
