"""Supernets of networks that were traced: any torch network with axes for its widths and depths. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from supernets.families.converted.traced_space import TracedFamily

if TYPE_CHECKING:
    from supernets.elastic.active import ElasticModel


class Traced(TracedFamily):
    """See :mod:`supernets.families.converted.traced_space`."""

    def build(self) -> ElasticModel:
        """A freshly initialised network (draws from torch's global generator)."""
        from supernets.families.converted.traced_net import TracedNet

        return TracedNet(self)
