"""Padded texts without their padding: layers that treat each token by itself run on the real tokens only."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Packed:
    """Where the real tokens of ``n`` texts lie, and what attention needs to know of the padding.

    Outputs are those of the padded computation up to rounding, for padding is attended to with a share of exactly 0.

    Attributes:
        places: index of each real token in the flattened ``(n * tokens,)``, ``(real,) int64``.
        n: texts.
        tokens: length to which the longest text is padded for attention.
        bias: added to the scores of attention, ``(n, 1, 1, tokens)``.
    """

    places: Tensor
    n: int
    tokens: int
    bias: Tensor

    @classmethod
    def of(cls, mask: Tensor, bias: Tensor) -> Packed:
        """From a mask ``(n, tokens)``, 1 at real tokens, and its bias."""
        n, tokens = mask.shape
        return cls(mask.flatten().nonzero().squeeze(1), n, tokens, bias)

    def pack(self, x: Tensor) -> Tensor:
        """The real tokens ``(real, channels)`` of ``(n, tokens, channels)``."""
        return x.flatten(0, 1).index_select(0, self.places)

    def spread(self, x: Tensor) -> Tensor:
        """``(n, tokens, channels)`` with zeros at padding, of real tokens ``(real, channels)``."""
        wide = x.new_zeros(self.n * self.tokens, x.shape[-1])
        return wide.index_copy(0, self.places, x).view(self.n, self.tokens, x.shape[-1])


def without_common_padding(ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Both ``(n, tokens)``, cut after the last token that is real in any text."""
    real = mask.any(0).nonzero()
    last = int(real[-1]) + 1 if len(real) else 1
    return ids[:, :last], mask[:, :last]


def padded_anywhere(mask: Tensor) -> bool:
    """Whether a mask has padding."""
    return not bool(mask.all())
