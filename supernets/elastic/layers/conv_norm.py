"""Convolution, BatchNorm and activation, elastic in width."""

from __future__ import annotations

from torch import Tensor, nn

from supernets.elastic.layers.conv import ElasticConv
from supernets.elastic.norm import BNStats, ElasticNorm, Norm
from supernets.elastic.plain import activate, plain_conv, plain_layer, plain_norm


class ConvNorm(nn.Module):
    """A convolution and its BatchNorm; ``path`` is its name in the network, under which ``norm`` sees it."""

    def __init__(
        self, path: str, in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1
    ) -> None:
        super().__init__()
        self.path = f"{path}.bn.bn"
        self.conv = ElasticConv(in_channels, out_channels, kernel, stride)
        self.bn = ElasticNorm(out_channels)

    def forward(self, x: Tensor, out_channels: int, norm: Norm, activation: str | None = None) -> Tensor:
        """Map ``(n, in, h, w)`` to ``(n, out_channels, h / stride, w / stride)``."""
        y = norm(self.path, self.bn.bn, self.conv(x, out_channels))
        return y if activation is None else activate(activation, y)

    def cut(
        self, in_channels: int, out_channels: int, stats: BNStats | None, activation: str | None = None
    ) -> nn.Sequential:
        """A plain layer with copies of the weights of these channels."""
        return plain_layer(
            plain_conv(self.conv.weight(in_channels, out_channels), stride=self.conv.stride),
            plain_norm(self.path, self.bn.bn, out_channels, stats),
            activation,
        )
