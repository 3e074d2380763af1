"""LayerNorm (Ba et al., 2016) over the first channels: it has no statistics that would need recalibration."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def narrow_norm(x: Tensor, norm: nn.LayerNorm) -> Tensor:
    """``norm`` over the channels of ``x``, which are its first ones."""
    width = x.shape[-1]
    return F.layer_norm(x, (width,), norm.weight[:width], norm.bias[:width], norm.eps)


def cut_norm(norm: nn.LayerNorm, width: int) -> nn.LayerNorm:
    """A plain norm with copies of the first entries."""
    plain = nn.LayerNorm(width, norm.eps)
    with torch.no_grad():
        plain.weight.copy_(norm.weight[:width])
        plain.bias.copy_(norm.bias[:width])
    return plain
