"""ViT (Dosovitskiy et al., 2021). No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from supernets.families.transformers.vit_space import VitFamily

if TYPE_CHECKING:
    from supernets.elastic.active import ElasticModel


@dataclass(frozen=True)
class Vit(VitFamily):
    """See :mod:`supernets.families.transformers.vit_space`."""

    def build(self) -> ElasticModel:
        """A freshly initialised network (draws from torch's global generator)."""
        from supernets.families.transformers.vit_net import VitNet

        return VitNet(self)
