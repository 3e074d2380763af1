"""Plain layers with copies of slices of shared weights: what extracted networks are made of."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernets.elastic.norm import BNStats

ACTIVATION_MODULES: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "h_swish": nn.Hardswish,
}


def activate(name: str, x: Tensor) -> Tensor:
    """Apply the activation called ``name``, one of :data:`ACTIVATION_MODULES`, to a tensor that nothing else reads.

    In inference mode it takes the place of ``x``: another tensor of its size costs more than the activation.
    """
    inplace = torch.is_inference_mode_enabled()
    if name == "h_swish":
        return F.hardswish(x, inplace)
    return F.relu6(x, inplace) if name == "relu6" else F.relu(x, inplace)


def add(y: Tensor, x: Tensor) -> Tensor:
    """``x + y``, in inference mode in the place of ``y``, which nothing else may read."""
    return y.add_(x) if torch.is_inference_mode_enabled() else x + y


def pixel_conv(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A convolution ``(out, in, 1, 1)`` of images of a single pixel, ``(n, in, 1, 1)``.

    In inference mode as a product of matrices, which takes up to five times less time. Its sums are rounded in another
    order: a training keeps the convolution, and so its weights to the last bit.
    """
    if not torch.is_inference_mode_enabled():
        return F.conv2d(x, weight, bias)
    return F.linear(x.flatten(1), weight.flatten(1), bias)[:, :, None, None]


def plain_conv(weight: Tensor, bias: Tensor | None = None, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution with a copy of ``weight`` ``(out, in / groups, k, k)``, padded by ``k // 2``."""
    out_channels, in_per_group, kernel, _ = weight.shape
    conv = nn.Conv2d(
        in_per_group * groups,
        out_channels,
        kernel,
        stride,
        kernel // 2,
        groups=groups,
        bias=bias is not None,
        device="meta",  # drawing weights at random takes longer than copying them
    )
    conv.weight = _copy(weight)
    conv.bias = None if bias is None else _copy(bias)
    return conv


def _copy(tensor: Tensor) -> nn.Parameter:
    """A parameter of its own, row by row in memory."""
    return nn.Parameter(tensor.detach().clone(memory_format=torch.contiguous_format))


def plain_linear(linear: nn.Linear, in_features: int) -> nn.Linear:
    """A fully connected layer with a copy of the first ``in_features`` columns."""
    plain = nn.Linear(in_features, linear.out_features, device="meta")
    plain.weight, plain.bias = _copy(linear.weight[:, :in_features]), _copy(linear.bias)
    return plain


def plain_norm(name: str, bn: nn.BatchNorm2d, channels: int, stats: BNStats | None) -> nn.BatchNorm2d:
    """A BatchNorm with copies of the first ``channels`` entries and the statistics of the arch.

    ``name`` is that of the BatchNorm in ``stats``; without ``stats`` the running statistics are copied.
    """
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


def plain_layer(conv: nn.Conv2d, bn: nn.BatchNorm2d | None, activation: str | None) -> nn.Sequential:
    """Convolution, BatchNorm and activation, the last two where there are any."""
    layer = nn.Sequential()
    layer.add_module("conv", conv)
    if bn is not None:
        layer.add_module("bn", bn)
    if activation is not None:
        layer.add_module("act", ACTIVATION_MODULES[activation]())
    return layer


class MeanPool(nn.Module):
    """Mean over height and width, kept as 1 x 1."""

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, c, h, w)`` to ``(n, c, 1, 1)``."""
        return x.mean((2, 3), keepdim=True)


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


class PlainBlock(nn.Module):
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
