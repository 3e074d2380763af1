"""BERT (Devlin et al., 2019), for classification. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from supernets.families.transformers.bert_space import BertFamily

if TYPE_CHECKING:
    from supernets.elastic.active import ElasticModel


@dataclass(frozen=True)
class Bert(BertFamily):
    """See :mod:`supernets.families.transformers.bert_space`."""

    def build(self) -> ElasticModel:
        """A freshly initialised network (draws from torch's global generator)."""
        from supernets.families.transformers.bert_net import BertNet

        return BertNet(self)
