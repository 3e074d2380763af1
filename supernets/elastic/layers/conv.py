"""Convolutions whose channels and kernels are leading slices and transformed centre crops."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernets.elastic.plain import pixel_conv


class ElasticConv(nn.Module):
    """A convolution without bias, padded by half its kernel, of which the first channels are used."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False)

    def weight(self, in_channels: int, out_channels: int) -> Tensor:
        """``(out_channels, in_channels, k, k)``, the first channels of both."""
        return self.conv.weight[:out_channels, :in_channels]

    def forward(self, x: Tensor, out_channels: int) -> Tensor:
        """Map ``(n, in, h, w)`` to ``(n, out_channels, h / stride, w / stride)``."""
        weight = self.weight(x.shape[1], out_channels)
        return F.conv2d(x, weight, stride=self.stride, padding=weight.shape[-1] // 2)


class ElasticDepthwise(nn.Module):
    """A depthwise convolution with elastic kernel.

    A smaller kernel is the centre crop of the next larger *transformed* one times a learned matrix that
    all channels share, the identity at first (once-for-all, Cai et al., 2020).
    """

    def __init__(self, channels: int, kernels: tuple[int, ...], stride: int) -> None:
        super().__init__()
        self.kernels, self.stride = kernels, stride
        self.conv = nn.Conv2d(
            channels, channels, kernels[-1], stride, kernels[-1] // 2, groups=channels, bias=False
        )
        for large, small in zip(kernels[:0:-1], kernels[-2::-1], strict=True):
            self.register_parameter(f"{large}to{small}_matrix", nn.Parameter(torch.eye(small**2)))

    def weight(self, channels: int, kernel: int) -> Tensor:
        """``(channels, 1, kernel, kernel)``."""
        weight = self.conv.weight[:channels]
        for large, small in zip(self.kernels[:0:-1], self.kernels[-2::-1], strict=True):
            if large <= kernel:
                break
            edge = (large - small) // 2
            crop = weight[:, :, edge : edge + small, edge : edge + small].reshape(channels, small**2)
            matrix: Tensor = getattr(self, f"{large}to{small}_matrix")
            weight = (crop @ matrix.T).view(channels, 1, small, small)
        return weight

    def forward(self, x: Tensor, kernel: int) -> Tensor:
        """Map ``(n, c, h, w)`` to ``(n, c, h / stride, w / stride)``."""
        channels = x.shape[1]
        return F.conv2d(
            x, self.weight(channels, kernel), stride=self.stride, padding=kernel // 2, groups=channels
        )


class ElasticSqueezeExcite(nn.Module):
    """Channel attention (Hu et al., 2018) whose widths follow the block's."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.fc = nn.Sequential()
        self.fc.add_module("reduce", nn.Conv2d(channels, squeezed, 1))
        self.fc.add_module("expand", nn.Conv2d(squeezed, channels, 1))

    @property
    def reduce(self) -> nn.Conv2d:
        """From channels to squeezed."""
        return self.fc.get_submodule("reduce")  # type: ignore[return-value]

    @property
    def expand(self) -> nn.Conv2d:
        """From squeezed to channels."""
        return self.fc.get_submodule("expand")  # type: ignore[return-value]

    def parts(self, channels: int, squeezed: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Weight and bias of both convolutions."""
        reduce, expand = self.reduce, self.expand
        assert reduce.bias is not None and expand.bias is not None
        return (
            (reduce.weight[:squeezed, :channels], reduce.bias[:squeezed]),
            (expand.weight[:channels, :squeezed], expand.bias[:channels]),
        )

    def forward(self, x: Tensor, squeezed: int) -> Tensor:
        """Scale ``(n, c, h, w)`` channel by channel, in inference mode in its place: nothing else may read it."""
        reduce, expand = self.parts(x.shape[1], squeezed)
        y = F.relu(pixel_conv(x.mean((2, 3), keepdim=True), *reduce))
        scale = F.hardsigmoid(pixel_conv(y, *expand))
        return x.mul_(scale) if torch.is_inference_mode_enabled() else x * scale
