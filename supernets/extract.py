"""A subnet as a network of its own."""

from __future__ import annotations

from torch import nn

from supernets.elastic.active import ElasticModel
from supernets.elastic.norm import BNStats
from supernets.spaces.space import Arch


def extract(net: ElasticModel, arch: Arch, stats: BNStats | None) -> nn.Module:
    """A plain ``nn.Module`` in evaluation mode, with copies of the weights and no elastic code.

    Its outputs equal those of ``use(net, arch, stats)`` within 1e-5. Without ``stats`` it takes the
    shared running statistics, which are right for the largest arch only.
    """
    arch = net.family.space().arch(arch.as_dict())
    if stats is not None:
        stats.check(arch)
    return net.materialise(arch, stats).eval()
