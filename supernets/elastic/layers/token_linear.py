"""Fully connected layers on every token, of which the first rows and columns are used."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class TokenLinear(nn.Linear):
    """``nn.Linear`` on ``(n, tokens, channels)``: a type of its own, because it is another operator in a file."""


class Unembed(nn.Module):
    """Logits of every token from the table of a token embedding, which this layer does not hold."""

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        """Map ``(n, tokens, width)`` and ``(vocabulary, width)`` to ``(n, tokens, vocabulary)``."""
        return F.linear(x, table)


def narrow_linear(x: Tensor, linear: nn.Linear, leaving: int) -> Tensor:
    """The first ``leaving`` outputs of ``linear`` from inputs that are its first ones."""
    return F.linear(x, linear.weight[:leaving, : x.shape[-1]], linear.bias[:leaving])


def cut_linear(
    linear: nn.Linear, entering: int, leaving: int, kind: type[nn.Linear] = TokenLinear
) -> TokenLinear:
    """A plain layer of type ``kind`` with copies of the first rows and columns."""
    plain = kind(entering, leaving)
    with torch.no_grad():
        plain.weight.copy_(linear.weight[:leaving, :entering])
        plain.bias.copy_(linear.bias[:leaving])
    return plain  # type: ignore[return-value]
