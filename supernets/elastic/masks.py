"""Which entries of the shared weights an arch uses, found by differentiating."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from supernets.elastic.active import ElasticModel, Inputs, use
from supernets.spaces.space import Arch

KEPT = 64


class Masks:
    """0/1 masks of archs of one network; the last :data:`KEPT` are cached.

    ``example`` makes the inputs of one example for an arch. A copy of the network gets random positive weights
    and runs once: with every activation in its increasing part, an entry has a gradient exactly when the arch
    uses it. It needs a forward pass only, so it works for every family; one that states what it uses is asked instead.
    """

    def __init__(self, net: ElasticModel, example: Callable[[Arch], Inputs]) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self._net = copy.deepcopy(net).double().cpu().eval().requires_grad_(True)
            for parameter in self._net.parameters():
                parameter.data = torch.rand(parameter.shape, dtype=torch.float64) * 0.02 + 0.01
        self._example = example
        self._known: dict[str, dict[str, Tensor]] = {}

    def __call__(self, arch: Arch) -> dict[str, Tensor]:
        """Parameter name to a tensor of its shape, 1.0 where ``arch`` uses the entry, else 0.0."""
        if arch.id not in self._known:
            if len(self._known) >= KEPT:
                del self._known[next(iter(self._known))]
            self._known[arch.id] = self._probe(arch)
        return self._known[arch.id]

    def _probe(self, arch: Arch) -> dict[str, Tensor]:
        if (known := self._net.used(arch)) is not None:
            return known
        self._net.zero_grad(set_to_none=True)
        inputs = tuple(each.double() if each.is_floating_point() else each for each in self._example(arch))
        with torch.enable_grad(), use(self._net, arch, norm=_scale):
            outputs = self._net(*inputs)
            weights = torch.linspace(1.0, 2.0, outputs.numel(), dtype=torch.float64).view_as(outputs)
            (outputs * weights).sum().backward()
        return {
            name: torch.zeros(p.shape) if p.grad is None else (p.grad != 0).float()
            for name, p in self._net.named_parameters()
        }


def _scale(_name: str, bn: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """An affine map in place of a BatchNorm, at a scale at which nothing saturates or vanishes."""
    channels, shape = x.shape[1], (1, -1, 1, 1)
    level = x.detach().abs().mean().clamp_min(1e-300)
    return x / level * bn.weight[:channels].view(shape) + bn.bias[:channels].view(shape)
