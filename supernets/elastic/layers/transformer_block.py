"""A transformer block: attention and feed-forward, each with a LayerNorm and a residual."""

from __future__ import annotations

from torch import Tensor, nn

from supernets.elastic.layers.attention import ElasticAttention, PlainAttention
from supernets.elastic.layers.feed_forward import ElasticFeedForward, PlainFeedForward
from supernets.elastic.layers.layer_norm import cut_norm, narrow_norm
from supernets.elastic.layers.packed import Packed
from supernets.elastic.reorder import ChannelGroup
from supernets.spaces.space import Choice
from supernets.spaces.transformer import TransformerBlockPlan


class ElasticTransformerBlock(nn.Module):
    """A block of the widest network; the norms come before the halves (``norm_first``) or after their sums."""

    def __init__(
        self,
        largest: TransformerBlockPlan,
        activation: str,
        norm_eps: float,
        *,
        norm_first: bool,
        causal: bool,
    ) -> None:
        super().__init__()
        self.norm_first = norm_first
        self.attention = ElasticAttention(largest, causal)
        self.attention_norm = nn.LayerNorm(largest.width, norm_eps)
        self.feed_forward = ElasticFeedForward(largest, activation)
        self.feed_forward_norm = nn.LayerNorm(largest.width, norm_eps)

    def forward(self, x: Tensor, plan: TransformerBlockPlan, padding: Tensor | Packed | None) -> Tensor:
        """Map ``(n, tokens, plan.width)``, or real tokens of packed texts, to the same shape."""
        if self.norm_first:
            x = x + self.attention(narrow_norm(x, self.attention_norm), plan, padding)
            found: Tensor = x + self.feed_forward(narrow_norm(x, self.feed_forward_norm), plan)
            return found
        x = narrow_norm(x + self.attention(x, plan, padding), self.attention_norm)
        return narrow_norm(x + self.feed_forward(x, plan), self.feed_forward_norm)

    def cut(self, plan: TransformerBlockPlan) -> PlainTransformerBlock:
        """A plain block with copies of the weights."""
        return PlainTransformerBlock(
            self.attention.cut(plan),
            cut_norm(self.attention_norm, plan.width),
            self.feed_forward.cut(plan),
            cut_norm(self.feed_forward_norm, plan.width),
            self.norm_first,
        )


class PlainTransformerBlock(nn.Module):
    """A block of fixed sizes."""

    def __init__(
        self,
        attention: PlainAttention,
        attention_norm: nn.LayerNorm,
        feed_forward: PlainFeedForward,
        feed_forward_norm: nn.LayerNorm,
        norm_first: bool,
    ) -> None:
        super().__init__()
        self.attention, self.attention_norm = attention, attention_norm
        self.feed_forward, self.feed_forward_norm = feed_forward, feed_forward_norm
        self.norm_first = norm_first

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Map ``(n, tokens, width)`` to the same shape."""
        if self.norm_first:
            x = x + self.attention(self.attention_norm(x), bias)
            found: Tensor = x + self.feed_forward(self.feed_forward_norm(x))
            return found
        x = self.attention_norm(x + self.attention(x, bias))
        normed: Tensor = self.feed_forward_norm(x + self.feed_forward(x))
        return normed


def transformer_groups(
    path: str,
    head_size: int,
    heads: tuple[tuple[str, ...], dict[tuple[Choice, ...], int]],
    neurons: tuple[tuple[str, ...], dict[tuple[Choice, ...], int]],
) -> list[ChannelGroup]:
    """Heads and neurons of the block at ``path``, each with the axes that decide how many are in use."""
    of_heads = [
        (f"{path}.attention.{part}.{kind}", 0)
        for part in ("query", "key", "value")
        for kind in ("weight", "bias")
    ]
    read = (f"{path}.attention.output.weight", 1)
    of_neurons = [(f"{path}.feed_forward.up.{kind}", 0) for kind in ("weight", "bias")]
    down = (f"{path}.feed_forward.down.weight", 1)
    return [
        ChannelGroup(f"{path}.attention", read, (*of_heads, read), *heads, block=head_size),
        ChannelGroup(f"{path}.feed_forward", down, (*of_neurons, down), *neurons),
    ]
