"""Several networks of one family, each for a part of the space, as one: what a split training leaves."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from supernets.elastic.active import Architecture, ElasticModel, Inputs
from supernets.elastic.norm import BNStats, Norm
from supernets.spaces.space import Arch, Space


class ShardedNet(ElasticModel):
    """The network whose region holds an arch runs it; where several do, or none, the first.

    It is evaluated, cut out of and exported as any supernet. It is not for training: shards train by themselves.
    """

    def __init__(self, family: Architecture, nets: Sequence[ElasticModel], regions: Sequence[Space]) -> None:
        super().__init__(family)
        self.nets = nn.ModuleList(nets)
        self._regions = tuple(regions)

    def of(self, arch: Arch) -> ElasticModel:
        """The network that stands for ``arch``."""
        index = next((k for k, region in enumerate(self._regions) if region.contains(arch)), 0)
        net = self.nets[index]
        assert isinstance(net, ElasticModel)
        return net

    def run(self, inputs: Inputs, arch: Arch, norm: Norm, dropout: float) -> Tensor:
        """Outputs of the network of ``arch``."""
        return self.of(arch).run(inputs, arch, norm, dropout)

    def materialise(self, arch: Arch, stats: BNStats | None) -> nn.Module:
        """A plain network with copies of the weights that ``arch`` has in its own network."""
        return self.of(arch).materialise(arch, stats)

    def residual_norms(self) -> list[nn.BatchNorm2d]:
        """Those of all networks."""
        return [norm for net in self.nets if isinstance(net, ElasticModel) for norm in net.residual_norms()]
