"""Weights of a traced network that has grown: the old entries as they were, the new ones almost nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from supernets.families.converted.traced_order import picked
from supernets.traced.cut import Index
from supernets.traced.graph import Weight
from supernets.traced.grow import Grown, fresh


def noisy(tensor: Tensor, weight: Weight, larger: Grown, scale: float, generator: torch.Generator) -> Tensor:
    """A weight of the larger network: new entries of a parameter are noise, new statistics those of nothing."""
    indices = larger.indices.get(weight.name, ())
    if weight.kind == "parameter":
        return extended(tensor, indices, scale, generator)
    value = 1.0 if weight.key.endswith("running_var") else 0.0
    found = extended(tensor, indices, None, generator)
    for axis, index in enumerate(indices):
        if index is not None:
            found.index_fill_(axis, torch.from_numpy(fresh(index)).to(found.device), value)
    return found


def extended(
    tensor: Tensor, indices: Sequence[Index | None], scale: float | None, generator: torch.Generator
) -> Tensor:
    """A tensor with the entries of ``indices`` along each axis; new ones are noise, or zero without a ``scale``."""
    found = picked(tensor, indices) if indices else tensor.clone()
    new = torch.zeros(found.shape, dtype=torch.bool, device=found.device)
    for axis, index in enumerate(indices):
        if index is not None:
            new.index_fill_(axis, torch.from_numpy(fresh(index)).to(found.device), True)
    if not new.any():
        return found
    noise = torch.randn(found.shape, generator=generator) * (scale or 0.0)
    return torch.where(new, noise.to(found.device, found.dtype), found)


def identity(larger: Grown, scale: float, generator: torch.Generator) -> Mapping[str, Tensor]:
    """Weight and bias of an added convolution: its input passes, with noise; none where none was added."""
    if larger.identity is None:
        return {}
    by_name = {weight.name: weight for weight in larger.graph.weights}
    kernel, bias = (by_name[name] for name in larger.identity)
    weight = torch.nn.init.dirac_(torch.empty(kernel.shape))
    noise = torch.randn(kernel.shape, generator=generator) * scale
    return {kernel.key: weight + noise, bias.key: torch.zeros(bias.shape)}
