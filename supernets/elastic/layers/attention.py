"""Multi-head attention (Vaswani et al., 2017) of which the first heads are used."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from supernets.elastic.layers.packed import Packed
from supernets.elastic.layers.token_linear import TokenLinear, cut_linear, narrow_linear
from supernets.spaces.transformer import TransformerBlockPlan

MASKED = -1e9
"""Added to the scores of tokens that are padding: their share is exactly 0 in float32."""


def padding_bias(mask: Tensor) -> Tensor:
    """What is added to scores, ``(n, 1, 1, tokens)``: 0 where ``mask (n, tokens)`` is 1, ``MASKED`` where it is 0."""
    return ((mask - 1).float() * -MASKED)[:, None, None, :]


class PaddingBias(nn.Module):
    """:func:`padding_bias` as a layer."""

    def forward(self, mask: Tensor) -> Tensor:
        """Map ``(n, tokens)`` to ``(n, 1, 1, tokens)``."""
        return padding_bias(mask)


class Attend(nn.Module):
    """Scaled dot-product attention without weights; ``causal``: a token sees itself and those before it."""

    def __init__(self, head_size: int, causal: bool) -> None:
        super().__init__()
        self.head_size, self.causal = head_size, causal

    def forward(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Tensor:
        """Map three ``(n, tokens, heads * head_size)`` to one; ``bias (n, 1, 1, tokens)`` is added to scores."""
        n, tokens, channels = query.shape
        heads = channels // self.head_size
        query, key, value = (
            each.view(n, tokens, heads, self.head_size).transpose(1, 2) for each in (query, key, value)
        )
        found = F.scaled_dot_product_attention(query, key, value, attn_mask=bias, is_causal=self.causal)
        return found.transpose(1, 2).reshape(n, tokens, channels)


class ElasticAttention(nn.Module):
    """Queries, keys, values and output of the widest network."""

    def __init__(self, largest: TransformerBlockPlan, causal: bool) -> None:
        super().__init__()
        self.query = nn.Linear(largest.width, largest.inner)
        self.key = nn.Linear(largest.width, largest.inner)
        self.value = nn.Linear(largest.width, largest.inner)
        self.output = nn.Linear(largest.inner, largest.width)
        self.attend = Attend(largest.head_size, causal)

    def forward(self, x: Tensor, plan: TransformerBlockPlan, padding: Tensor | Packed | None) -> Tensor:
        """Map ``(n, tokens, plan.width)``, or real tokens ``(real, plan.width)`` of packed texts, to the same shape."""
        query, key, value = (
            narrow_linear(x, each, plan.inner) for each in (self.query, self.key, self.value)
        )
        if isinstance(padding, Packed):
            seen = self.attend(*(padding.spread(each) for each in (query, key, value)), padding.bias)
            return narrow_linear(padding.pack(seen), self.output, plan.width)
        return narrow_linear(self.attend(query, key, value, padding), self.output, plan.width)

    def cut(self, plan: TransformerBlockPlan) -> PlainAttention:
        """A plain layer with copies of the weights of these heads."""
        query, key, value = (
            cut_linear(each, plan.width, plan.inner) for each in (self.query, self.key, self.value)
        )
        return PlainAttention(
            query,
            key,
            value,
            cut_linear(self.output, plan.inner, plan.width),
            Attend(plan.head_size, self.attend.causal),
        )


class PlainAttention(nn.Module):
    """Attention of a fixed number of heads."""

    def __init__(
        self, query: TokenLinear, key: TokenLinear, value: TokenLinear, output: TokenLinear, attend: Attend
    ) -> None:
        super().__init__()
        self.query, self.key, self.value, self.output, self.attend = query, key, value, output, attend

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Map ``(n, tokens, width)`` to the same shape."""
        found: Tensor = self.output(self.attend(self.query(x), self.key(x), self.value(x), bias))
        return found
