"""The feed-forward half of a transformer block, of which the first neurons are used."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from supernets.elastic.layers.token_linear import TokenLinear, cut_linear, narrow_linear
from supernets.spaces.transformer import TransformerBlockPlan

ACTIVATIONS = ("gelu", "gelu_tanh", "relu")


def activation_layer(name: str) -> nn.Module:
    """The activation called ``name``, one of :data:`ACTIVATIONS`."""
    return nn.ReLU() if name == "relu" else nn.GELU("tanh" if name == "gelu_tanh" else "none")


def activate_tokens(name: str, x: Tensor) -> Tensor:
    """Apply the activation called ``name``."""
    return F.relu(x) if name == "relu" else F.gelu(x, approximate="tanh" if name == "gelu_tanh" else "none")


class ElasticFeedForward(nn.Module):
    """Two fully connected layers with an activation between them."""

    def __init__(self, largest: TransformerBlockPlan, activation: str) -> None:
        super().__init__()
        self.activation = activation
        self.up = nn.Linear(largest.width, largest.ffn)
        self.down = nn.Linear(largest.ffn, largest.width)

    def forward(self, x: Tensor, plan: TransformerBlockPlan) -> Tensor:
        """Map ``(n, tokens, plan.width)`` to the same shape."""
        inner = activate_tokens(self.activation, narrow_linear(x, self.up, plan.ffn))
        return narrow_linear(inner, self.down, plan.width)

    def cut(self, plan: TransformerBlockPlan) -> PlainFeedForward:
        """A plain layer with copies of the weights of these neurons."""
        return PlainFeedForward(
            cut_linear(self.up, plan.width, plan.ffn),
            activation_layer(self.activation),
            cut_linear(self.down, plan.ffn, plan.width),
        )


class PlainFeedForward(nn.Module):
    """The same of a fixed width."""

    def __init__(self, up: TokenLinear, act: nn.Module, down: TokenLinear) -> None:
        super().__init__()
        self.up, self.act, self.down = up, act, down

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, tokens, width)`` to the same shape."""
        found: Tensor = self.down(self.act(self.up(x)))
        return found
