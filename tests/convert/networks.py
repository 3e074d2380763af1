"""Small networks of many kinds, as users bring them: what converts, and what must be refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations


@dataclass(frozen=True)
class Case:
    """``least`` is the share of parameters that must be removable at least; None: it must be refused."""

    name: str
    build: Callable[[], nn.Module]
    inputs: Callable[[int], dict[str, Tensor]]
    least: float | None = 0.3
    output: str | None = None
    refusal: str = ""


def image(size: int = 16, channels: int = 3) -> Callable[[int], dict[str, Tensor]]:
    return lambda n: {"x": torch.randn(n, channels, size, size)}


def series(length: int = 32, channels: int = 4) -> Callable[[int], dict[str, Tensor]]:
    return lambda n: {"x": torch.randn(n, channels, length)}


def tokens(length: int = 12, vocab: int = 40) -> Callable[[int], dict[str, Tensor]]:
    return lambda n: {"ids": torch.randint(0, vocab, (n, length))}


def vector(size: int = 10) -> Callable[[int], dict[str, Tensor]]:
    return lambda n: {"x": torch.randn(n, size)}


def unit(i: int, o: int, k: int = 3, s: int = 1, g: int = 1, act: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(i, o, k, s, k // 2, groups=g, bias=False), nn.BatchNorm2d(o), act())


class Flat(nn.Module):
    """A body, global pooling and a classifier."""

    def __init__(self, body: nn.Module, width: int, classes: int = 5) -> None:
        super().__init__()
        self.body, self.head = body, nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean((2, 3)))


# --- convolutional --------------------------------------------------------------------------------------


class Residual(nn.Module):
    def __init__(self, i: int, o: int, s: int = 1) -> None:
        super().__init__()
        self.a, self.b = unit(i, o, 3, s), nn.Sequential(nn.Conv2d(o, o, 3, padding=1), nn.BatchNorm2d(o))
        self.short = nn.Conv2d(i, o, 1, s) if s > 1 or i != o else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.b(self.a(x)) + self.short(x), inplace=True)


class PaddedShortcut(nn.Module):
    """A ResNet of CIFAR whose shortcut pads channels with zeros."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.a = unit(3, 8), unit(8, 16, 3, 2)
        self.b, self.head = (
            nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16)),
            nn.Linear(16, 5),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        short = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 4, 4))
        return self.head(F.relu(self.b(self.a(x)) + short).mean((2, 3)))


class Dense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 12, 3, padding=1)
        widths = [12, 20, 28]
        self.norms = nn.ModuleList(nn.BatchNorm2d(w) for w in widths)
        self.convs = nn.ModuleList(nn.Conv2d(w, 8, 3, padding=1) for w in widths)
        self.transition, self.head = unit(36, 18, 1), nn.Linear(18, 5)

    def forward(self, x: Tensor) -> Tensor:
        features = [self.stem(x)]
        for norm, conv in zip(self.norms, self.convs, strict=True):
            features.append(conv(F.relu(norm(torch.cat(features, 1)))))
        return self.head(F.avg_pool2d(self.transition(torch.cat(features, 1)), 2).mean((2, 3)))


class Shuffle(nn.Module):
    """ShuffleNet V2: half of the channels pass by, then both halves are interleaved by a view."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        half = width // 2
        self.stem = unit(3, width)
        self.branches = nn.ModuleList(
            nn.Sequential(unit(half, half, 1), unit(half, half, 3, 1, half, nn.Identity), unit(half, half, 1))
            for _ in range(2)
        )
        self.head = nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for branch in self.branches:
            left, right = x.chunk(2, 1)
            x = torch.cat([left, branch(right)], 1)
            n, c, h, w = x.shape
            x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        return self.head(x.mean((2, 3)))


class GroupShuffle(nn.Module):
    """ShuffleNet V1: grouped 1x1 convolutions with ``channel_shuffle``."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.a, self.b = unit(3, 24), unit(24, 48, 1, 1, 3), unit(48, 24, 1, 1, 3)
        self.shuffle, self.head = nn.ChannelShuffle(3), nn.Linear(24, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.head((x + self.b(self.shuffle(self.a(x)))).mean((2, 3)))


class Inception(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = unit(3, 16)
        self.a, self.b = unit(16, 8, 1), nn.Sequential(unit(16, 8, 1), unit(8, 12))
        self.c = nn.Sequential(
            unit(16, 4, 1), nn.Conv2d(4, 8, (1, 7), padding=(0, 3)), nn.Conv2d(8, 8, (7, 1), padding=(3, 0))
        )
        self.d = unit(16, 8, 1)
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(36 * 16, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 5)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = torch.cat([self.a(x), self.b(x), self.c(x), self.d(F.max_pool2d(x, 3, 1, 1))], 1)
        return self.head(F.adaptive_avg_pool2d(y, 4))


class SqueezeExcite(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.reduce, self.expand = unit(3, 24, act=nn.SiLU), nn.Linear(24, 8), nn.Linear(8, 24)
        self.last = unit(24, 16, act=nn.Hardswish)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        scale = torch.sigmoid(self.expand(F.relu(self.reduce(F.adaptive_avg_pool2d(x, 1).flatten(1)))))
        return self.head(self.last(x * scale[:, :, None, None]).mean((2, 3)))


class Selective(nn.Module):
    """SKNet: a softmax over branches weighs every channel."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.three, self.five = unit(3, 16), unit(16, 16), unit(16, 16, 5)
        self.squeeze, self.choose, self.head = nn.Linear(16, 8), nn.Linear(8, 32), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        both = torch.stack([self.three(x), self.five(x)], 1)
        weights = self.choose(F.relu(self.squeeze(both.sum(1).mean((2, 3))))).view(-1, 2, 16).softmax(1)
        return self.head((both * weights[..., None, None]).sum(1).mean((2, 3)))


class SpatialAttention(nn.Module):
    """CBAM: the largest and the mean channel at each place."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.mask = unit(3, 16), nn.Conv2d(2, 1, 7, padding=3)
        self.last, self.head = unit(16, 24), nn.Linear(24, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        seen = torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], 1)
        return self.head(self.last(x * torch.sigmoid(self.mask(seen))).mean((2, 3)))


class Ghost(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = unit(3, 16)
        self.primary, self.cheap = unit(16, 12, 1), unit(12, 12, 3, 1, 12)
        self.last = nn.Conv2d(24, 16, 1)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.primary(x)
        y = torch.cat([y, self.cheap(y)], 1)[:, :24]
        return self.head((self.last(y) + x).mean((2, 3)))


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.deep = unit(3, 12), unit(12, 24)
        self.up = nn.ConvTranspose2d(24, 12, 2, 2)
        self.out = nn.Sequential(unit(24, 12), nn.Conv2d(12, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        a = self.down(x)
        return self.out(torch.cat([self.up(self.deep(F.max_pool2d(a, 2))), a], 1))


class Upscaler(nn.Module):
    """Super-resolution with a pixel shuffle and a bilinear shortcut; depthwise transposed convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 24, 3, padding=1), nn.Conv2d(24, 48, 3, padding=1)
        self.shuffle, self.up = nn.PixelShuffle(2), nn.ConvTranspose2d(12, 12, 4, 2, 1, groups=12)
        self.last = nn.Conv2d(12, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.up(F.prelu(self.shuffle(self.b(F.relu(self.a(x)))), torch.full((1,), 0.1)))
        short = F.interpolate(x, scale_factor=4.0, mode="bilinear", align_corners=False)
        return self.last(y) + short


class Style(nn.Module):
    """InstanceNorm, reflection padding, nearest upsampling."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(3, 16, 3, 2), nn.InstanceNorm2d(16, affine=True)
        )
        self.b = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.InstanceNorm2d(16), nn.ReLU())
        self.c = nn.Conv2d(16, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.a(x))
        return torch.tanh(self.c(F.interpolate(self.b(y) + y, scale_factor=2.0)))


def group_norm() -> nn.Module:
    return Flat(
        nn.Sequential(
            nn.Conv2d(3, 32, 3),
            nn.GroupNorm(8, 32),
            nn.SiLU(),
            nn.Conv2d(32, 24, 3),
            nn.GroupNorm(24, 24),
            nn.GELU(),
        ),
        24,
    )


def prelu() -> nn.Module:
    return Flat(nn.Sequential(nn.Conv2d(3, 16, 3), nn.PReLU(16), nn.Conv2d(16, 12, 3), nn.ELU()), 12)


def squeeze() -> nn.Module:
    return Flat(
        nn.Sequential(unit(3, 12), nn.MaxPool2d(3, 2, ceil_mode=True), unit(12, 20, 3, 1, 4), unit(20, 8, 1)),
        8,
    )


class Standardised(nn.Module):
    """Convolutions with standardised weights (BiT, NFNet)."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 24, 3)
        self.norm_a, self.norm_b = nn.GroupNorm(4, 16), nn.GroupNorm(6, 24)
        self.head = nn.Linear(24, 5)

    @staticmethod
    def conv(x: Tensor, conv: nn.Conv2d) -> Tensor:
        w = conv.weight
        mean = w.mean((1, 2, 3), keepdim=True)
        scale = w.var((1, 2, 3), keepdim=True, unbiased=False).add(1e-5).rsqrt()
        return F.conv2d(x, (w - mean) * scale, conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm_a(self.conv(x, self.a)))
        return self.head(F.relu(self.norm_b(self.conv(x, self.b))).mean((2, 3)))


class Volumes(nn.Module):
    """Three-dimensional convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv3d(1, 8, 3), nn.BatchNorm3d(8), nn.ReLU(), nn.MaxPool3d(2), nn.Conv3d(8, 12, 3), nn.ReLU()
        )
        self.head = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean((2, 3, 4)))


# --- series ---------------------------------------------------------------------------------------------


class Temporal(nn.Module):
    """Causal dilated convolutions with weight norm and gates (TCN, WaveNet)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(4, 16, 1)
        self.gates = nn.ModuleList(
            parametrizations.weight_norm(nn.Conv1d(16, 32, 3, dilation=2**i)) for i in range(2)
        )
        self.skips = nn.ModuleList(nn.Conv1d(16, 16, 1) for _ in range(2))
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for i, (gate, skip) in enumerate(zip(self.gates, self.skips, strict=True)):
            value, opened = gate(F.pad(x, (2 * 2**i, 0))).chunk(2, 1)
            x = x + skip(torch.tanh(value) * torch.sigmoid(opened))
        return self.head(x[:, :, -1])


class Recurrent(nn.Module):
    """An LSTM is not followed: its channels stay, those of the layers around it do not."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 24), nn.Linear(24, 8)
        self.lstm, self.c, self.head = nn.LSTM(8, 12, batch_first=True), nn.Linear(12, 20), nn.Linear(20, 3)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.lstm(self.b(F.relu(self.a(x.transpose(1, 2)))))
        return self.head(F.relu(self.c(y[:, -1])))


class OnlyRecurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(4, 12, batch_first=True), nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x.transpose(1, 2))[0][:, -1])


# --- tokens ---------------------------------------------------------------------------------------------


class Mixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 4, 4)
        self.norm1, self.norm2, self.norm = nn.LayerNorm(16), nn.LayerNorm(16), nn.LayerNorm(16)
        self.tokens = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.channels = nn.Sequential(nn.Linear(16, 64), nn.GELU(), nn.Linear(64, 16))
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        x = x + self.channels(self.norm2(x))
        return self.head(self.norm(x).mean(1))


class NextBlock(nn.Module):
    """ConvNeXt: LayerNorm over channels at the end, a learned scale of each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.depthwise, self.norm = nn.Conv2d(16, 16, 7, padding=3, groups=16), nn.LayerNorm(16)
        self.up, self.down = nn.Linear(16, 64), nn.Linear(64, 16)
        self.gamma = nn.Parameter(torch.ones(16))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + (self.gamma * self.down(F.gelu(self.up(y)))).permute(0, 3, 1, 2)


class Vision(nn.Module):
    """A vision transformer with a class token and heads written out in full."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.token = nn.Conv2d(3, 32, 4, 4), nn.Parameter(torch.zeros(1, 1, 32))
        self.place = nn.Parameter(torch.zeros(1, 17, 32))
        self.norm1, self.norm2, self.norm = nn.LayerNorm(32), nn.LayerNorm(32), nn.LayerNorm(32)
        self.qkv, self.proj = nn.Linear(32, 96), nn.Linear(32, 32)
        self.up, self.down, self.head = nn.Linear(32, 64), nn.Linear(64, 32), nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.place
        n, t, c = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(n, t, 3, 4, 8).permute(2, 0, 3, 1, 4).unbind(0)
        scores = (q @ k.transpose(-2, -1) * 8**-0.5).softmax(-1)
        x = x + self.proj((scores @ v).transpose(1, 2).reshape(n, t, c))
        x = x + self.down(F.gelu(self.up(self.norm2(x))))
        return self.head(self.norm(x)[:, 0])


class Encoder(nn.Module):
    """torch's own transformer layers."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(40, 32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.1, batch_first=True, norm_first=True)
        self.layers, self.head = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(32, 4)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.layers(self.embed(ids)).mean(1))


class Language(nn.Module):
    """RMSNorm, rotary positions, grouped-query attention, a gated feed-forward net, a tied head."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(40, 32)
        self.norm1, self.norm2, self.norm = nn.RMSNorm(32), nn.RMSNorm(32), nn.RMSNorm(32)
        self.q, self.k, self.v = (
            nn.Linear(32, 32, bias=False),
            nn.Linear(32, 16, bias=False),
            nn.Linear(32, 16),
        )
        self.o, self.gate = nn.Linear(32, 32, bias=False), nn.Linear(32, 48, bias=False)
        self.up, self.down = nn.Linear(32, 48, bias=False), nn.Linear(48, 32, bias=False)
        self.head = nn.Linear(32, 40, bias=False)
        self.head.weight = self.embed.weight
        angles = torch.outer(torch.arange(12.0), 1e-2 ** (torch.arange(4.0) / 4))
        self.register_buffer("cosine", angles.cos().repeat(1, 2))
        self.register_buffer("sine", angles.sin().repeat(1, 2))

    def turned(self, x: Tensor) -> Tensor:
        half = torch.cat([-x[..., 4:], x[..., :4]], -1)
        return x * self.cosine + half * self.sine

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        n, t, c = x.shape
        y = self.norm1(x)
        q = self.turned(self.q(y).view(n, t, 4, 8).transpose(1, 2))
        k = self.turned(self.k(y).view(n, t, 2, 8).transpose(1, 2))
        v = self.v(y).view(n, t, 2, 8).transpose(1, 2)
        k, v = (z[:, :, None].expand(n, 2, 2, t, 8).reshape(n, 4, t, 8) for z in (k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(n, t, c)
        x = x + self.o(y)
        y = self.norm2(x)
        x = x + self.down(F.silu(self.gate(y)) * self.up(y))
        return self.head(self.norm(x))


class Equations(nn.Module):
    """Attention by einsum, with heads as an axis of the weights; a bilinear pooling of features."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(40, 16)
        self.q, self.k, self.v = (nn.Parameter(torch.randn(16, 4, 8)) for _ in range(3))
        self.o, self.head = nn.Parameter(torch.randn(4, 8, 16)), nn.Linear(16, 4)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        q, k, v = (torch.einsum("btc,chd->bhtd", x, w) for w in (self.q, self.k, self.v))
        scores = torch.einsum("bhtd,bhsd->bhts", q, k).softmax(-1)
        x = x + torch.einsum("bhtd,hdc->btc", scores @ v, self.o)
        return self.head(x.mean(1))


class FlatHeads(nn.Module):
    """Heads folded into the batch, as old code does it."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(40, 32)
        self.norm, self.q, self.k = nn.LayerNorm(32), nn.Linear(32, 32), nn.Linear(32, 32)
        self.v, self.o, self.head = nn.Linear(32, 32), nn.Linear(32, 32), nn.Linear(32, 4)

    def split(self, x: Tensor) -> Tensor:
        n, t, _ = x.shape
        return x.view(n, t, 4, 8).transpose(1, 2).reshape(n * 4, t, 8)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        n, t, c = x.shape
        q, k, v = (self.split(layer(self.norm(x))) for layer in (self.q, self.k, self.v))
        y = torch.bmm(torch.bmm(q, k.transpose(1, 2)).mul(8**-0.5).softmax(-1), v)
        y = self.o(y.view(n, 4, t, 8).transpose(1, 2).reshape(n, t, c))
        return self.head((x + y).mean(1))


# --- forms of networks ----------------------------------------------------------------------------------


class Siamese(nn.Module):
    """Two inputs through one body; a dictionary out."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Sequential(unit(3, 12), unit(12, 16)), nn.Linear(32, 2)

    def forward(self, left: Tensor, right: Tensor) -> dict[str, Tensor]:
        a, b = (self.body(each).mean((2, 3)) for each in (left, right))
        return {"score": self.head(torch.cat([a, (a - b).abs()], 1)), "features": a}


class TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.a, self.b = unit(3, 16), nn.Conv2d(16, 4, 1), nn.Conv2d(16, 8, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.body(x)
        return self.a(y), self.b(y)


class Places(nn.Module):
    """Pooling that returns the places of its maxima too, and pooling to a fixed size before a flattened layer."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.head = unit(3, 16), unit(16, 16), nn.Linear(16 * 4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x, places = F.max_pool2d(self.a(x), 2, return_indices=True)
        x = self.b(x * (places % 2))
        return self.head(F.adaptive_max_pool2d(x, 2).flatten(1))


class Biased(nn.Module):
    """Attention with a learned bias for every pair of positions."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.qkv, self.out = nn.Embedding(40, 32), nn.Linear(32, 96), nn.Linear(32, 32)
        self.bias, self.head = nn.Parameter(torch.zeros(4, 12, 12)), nn.Linear(32, 5)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        n, t, c = x.shape
        q, k, v = (each.view(n, t, 4, 8).transpose(1, 2) for each in self.qkv(x).split(c, -1))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=self.bias.unsqueeze(0))
        return self.head((x + self.out(y.transpose(1, 2).reshape(n, t, c))).mean(1))


class Mixed(nn.Module):
    """An image and numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.numbers, self.head = unit(3, 16), nn.Linear(6, 12), nn.Linear(28, 3)

    def forward(self, x: Tensor, facts: Tensor) -> Tensor:
        return self.head(torch.cat([self.image(x).mean((2, 3)), F.relu(self.numbers(facts))], 1))


class Repeated(nn.Module):
    """One module used twice, with different inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.block, self.head = unit(3, 16), unit(16, 16), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.head(self.block(self.block(x) + x).mean((2, 3)))


class Computed(nn.Module):
    """Weights out of other parameters: low rank, scaled, masked by a buffer; inputs normalised by buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Parameter(torch.randn(24, 4)), nn.Parameter(torch.randn(4, 10))
        self.weight, self.scale = nn.Parameter(torch.randn(16, 24)), nn.Parameter(torch.ones(16, 1))
        self.register_buffer("mean", torch.zeros(10))
        self.register_buffer("keep", (torch.arange(16 * 24) % 3 > 0).float().view(16, 24))
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(F.linear(x - self.mean, self.left @ self.right))
        return self.head(F.leaky_relu(F.linear(x, self.weight * self.scale * self.keep)))


class Experts(nn.Module):
    """A soft mixture of experts."""

    def __init__(self) -> None:
        super().__init__()
        self.route = nn.Linear(10, 3)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(10, 24), nn.ReLU(), nn.Linear(24, 8)) for _ in range(3)
        )
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        weights = self.route(x).softmax(-1)
        return self.head((torch.stack([e(x) for e in self.experts], 1) * weights[..., None]).sum(1))


class Normalised(nn.Module):
    """A BatchNorm without parameters behind a Linear, an L2 norm of features, a similarity to prototypes."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm, self.b = nn.Linear(10, 24), nn.BatchNorm1d(24, affine=False), nn.Linear(24, 12)
        self.prototypes = nn.Parameter(torch.randn(5, 12))

    def forward(self, x: Tensor) -> Tensor:
        y = F.normalize(self.b(F.relu(self.norm(self.a(x)))), dim=-1)
        return y @ F.normalize(self.prototypes, dim=-1).t() * 10


class DataDependent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.head = nn.Linear(10, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        if y.sum() > 0:
            y = -y
        return self.head(y)


class FixedBatch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.head = nn.Linear(10, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.a(x).view(2, 8))


class Sampled(nn.Module):
    """Randomness in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.head = nn.Linear(10, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        return self.head(y + torch.randn_like(y))


class Single(nn.Module):
    """Nothing between input and output that could go."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(10, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x)


def residual() -> nn.Module:
    return Flat(nn.Sequential(unit(3, 8), Residual(8, 8), Residual(8, 16, 2), Residual(16, 16)), 16)


def pair(n: int) -> dict[str, Tensor]:
    return {name: torch.randn(n, 3, 8, 8) for name in ("left", "right")}


def autoencoder() -> nn.Module:
    return nn.Sequential(
        nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 4), nn.Linear(4, 32), nn.Softplus(), nn.Linear(32, 10)
    )


CASES = (
    Case("residual", residual, image()),
    Case("padded_shortcut", PaddedShortcut, image()),
    Case("dense", Dense, image()),
    Case("shuffle", Shuffle, image(), 0.2),
    Case("group_shuffle", GroupShuffle, image(), 0.2),
    Case("inception", Inception, image()),
    Case("squeeze_excite", SqueezeExcite, image()),
    Case("selective", Selective, image()),
    Case("spatial_attention", SpatialAttention, image(), 0.2),
    Case("ghost", Ghost, image()),
    Case("unet", UNet, image()),
    Case("upscaler", Upscaler, image()),
    Case("style", Style, image()),
    Case("group_norm", group_norm, image()),
    Case("prelu", prelu, image()),
    Case("squeeze", squeeze, image()),
    Case("standardised", Standardised, image()),
    Case("volumes", Volumes, lambda n: {"x": torch.randn(n, 1, 10, 10, 10)}),
    Case("temporal", Temporal, series(), 0.2),
    Case("recurrent", Recurrent, series(), 0.1),
    Case("mixer", Mixer, image()),
    Case("next", lambda: Flat(nn.Sequential(nn.Conv2d(3, 16, 2, 2), NextBlock(), NextBlock()), 16), image()),
    Case("vision", Vision, image()),
    Case("encoder", Encoder, tokens()),
    Case("language", Language, tokens()),
    Case("equations", Equations, tokens()),
    Case("flat_heads", FlatHeads, tokens()),
    Case("siamese", Siamese, pair, output="score"),
    Case("two_heads", TwoHeads, image(), output="0"),
    Case("places", Places, image()),
    Case("biased", Biased, tokens()),
    Case("mixed", Mixed, lambda n: {"x": torch.randn(n, 3, 8, 8), "facts": torch.randn(n, 6)}),
    Case("repeated", Repeated, image()),
    Case("computed", Computed, vector()),
    Case("experts", Experts, vector()),
    Case("normalised", Normalised, vector()),
    Case("autoencoder", autoencoder, lambda n: {"input": torch.randn(n, 10)}),
    Case("only_recurrent", OnlyRecurrent, series(), None, refusal="nothing can be removed.*lstm"),
    Case("data_dependent", DataDependent, vector(), None, refusal="depends on the data at networks.py"),
    Case("fixed_batch", FixedBatch, vector(), None, refusal="batch of any size"),
    Case("sampled", Sampled, vector(), None, refusal="random"),
    Case("single", Single, vector(), None, refusal="nothing can be removed.*output of the network"),
    Case("two_heads_unnamed", TwoHeads, image(), None, refusal=r"2 tensors \['0', '1'\]"),
)  # fmt: skip
CONVERTED = [case for case in CASES if case.least is not None]
REFUSED = [case for case in CASES if case.least is None]


def spread(shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Values in (-1, 1) that are all different."""
    n = max(1, math.prod(shape))
    return ((torch.randperm(n, generator=generator) + 0.5) / n * 2 - 1).reshape(shape)


def built(case: Case, seed: int = 0) -> nn.Module:
    """The network in evaluation mode with parameters and statistics that are all different."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    net = case.build().eval()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            values = spread(parameter.shape, generator)
            if parameter.ndim < 2:
                parameter.copy_(values * 0.4 + (1.0 if name.endswith("weight") else 0.0))
            else:
                parameter.copy_(values * math.sqrt(3 / max(1, parameter[0].numel())))
        for name, buffer in net.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.copy_(spread(buffer.shape, generator) * 0.4 + (1.0 if name.endswith("var") else 0.0))
    return net


def first_tensor(result: Any, case: Case) -> Tensor:
    """The output that quality is computed from, of what the original returns."""
    if case.output is None:
        return result
    return result[int(case.output)] if case.output.isdigit() else result[case.output]
