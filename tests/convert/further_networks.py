"""More small networks that must convert: padding and causal masks, spectral norm, bilinear layers, resized weights."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from tests.convert.networks import Case, image, tokens, unit


class Padded(nn.Module):
    """An encoder with a mask of padding, which all heads share."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.words, self.body = (
            nn.Embedding(40, 32),
            nn.TransformerEncoder(layer, 1, enable_nested_tensor=False),
        )
        self.head = nn.Linear(32, 5)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.body(self.words(ids), src_key_padding_mask=ids == 0).mean(1))


class Translator(nn.Module):
    """``nn.Transformer`` with a causal mask."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(40, 32), nn.Linear(32, 40)
        self.body = nn.Transformer(32, 4, 1, 1, 48, batch_first=True)

    def forward(self, ids: Tensor, earlier: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(6)
        return self.head(self.body(self.words(ids), self.words(earlier), tgt_mask=mask))


class Critic(nn.Module):
    """Convolutions with spectral norm, as in a GAN."""

    def __init__(self) -> None:
        super().__init__()
        self.one = parametrizations.spectral_norm(nn.Conv2d(3, 16, 3, padding=1))
        self.two = parametrizations.spectral_norm(nn.Conv2d(16, 24, 3, padding=1))
        self.head = nn.Linear(24, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.leaky_relu(self.two(F.leaky_relu(self.one(x), 0.1)), 0.1).mean((2, 3)))


class Paired(nn.Module):
    """Two inputs that meet in a bilinear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(10, 24), nn.Linear(6, 16)
        self.pair, self.head = nn.Bilinear(24, 16, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor, facts: Tensor) -> Tensor:
        return self.head(F.relu(self.pair(F.relu(self.left(x)), F.relu(self.right(facts)))))


class Resized(nn.Module):
    """Positions of another grid, resized with antialiasing."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.place = nn.Conv2d(3, 32, 4, 4), nn.Parameter(torch.zeros(1, 32, 6, 6))
        self.body, self.head = unit(32, 24), nn.Linear(24, 5)

    def forward(self, x: Tensor) -> Tensor:
        place = F.interpolate(self.place, size=(4, 4), mode="bicubic", antialias=True)
        return self.head(self.body(self.patches(x) + place).mean((2, 3)))


def _translated(n: int) -> dict[str, Tensor]:
    words = torch.randint(0, 40, (n, 12))
    return {"ids": words, "earlier": words[:, :6]}


FURTHER = [
    Case("padded", Padded, tokens(), 0.5),
    Case("translator", Translator, _translated, 0.5),
    Case("critic", Critic, image(), 0.5),
    Case("paired", Paired, lambda n: {"x": torch.randn(n, 10), "facts": torch.randn(n, 6)}, 0.5),
    Case("resized", Resized, image()),
]
