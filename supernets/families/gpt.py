"""GPT-2 (Radford et al., 2019), for language modelling or classification. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from supernets.families.transformers.gpt_space import GptFamily

if TYPE_CHECKING:
    from supernets.elastic.active import ElasticModel


@dataclass(frozen=True)
class Gpt(GptFamily):
    """See :mod:`supernets.families.transformers.gpt_space`."""

    def build(self) -> ElasticModel:
        """A freshly initialised network (draws from torch's global generator)."""
        from supernets.families.transformers.gpt_net import GptNet

        return GptNet(self)
