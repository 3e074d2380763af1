"""ResNet-50D supernets (He et al., 2019) as once-for-all trains them (Cai et al., 2020). No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from supernets.families.convolutional.resnet import ResNetFamily

if TYPE_CHECKING:
    from supernets.elastic.active import ElasticModel


@dataclass(frozen=True)
class ResNet50(ResNetFamily):
    """See :mod:`supernets.families.convolutional.resnet`."""

    def build(self) -> ElasticModel:
        """A freshly initialised network (draws from torch's global generator)."""
        from supernets.families.convolutional.resnet50_net import ResNetNet

        return ResNetNet(self)
