"""MobileNetV3 supernets (Howard et al., 2019) as once-for-all trains them (Cai et al., 2020). No torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from supernets.families.convolutional.mobile import MobileConfig, MobileFamily, Stage

if TYPE_CHECKING:
    from supernets.elastic.active import ElasticModel

STAGES = (
    Stage(24, 2, "relu", False),
    Stage(40, 2, "relu", True),
    Stage(80, 2, "h_swish", False),
    Stage(112, 1, "h_swish", True),
    Stage(160, 2, "h_swish", True),
)


@dataclass(frozen=True)
class MobileNetV3Config(MobileConfig):
    """The defaults are those of once-for-all at width 1.0."""

    stages: tuple[Stage, ...] = STAGES


@dataclass(frozen=True)
class MobileNetV3(MobileFamily):
    """See :mod:`supernets.families.convolutional.mobile`."""

    settings: MobileConfig = field(default_factory=MobileNetV3Config)
    name = "mobilenet_v3"
    config_type: ClassVar[type[MobileConfig]] = MobileNetV3Config

    def build(self) -> ElasticModel:
        """A freshly initialised network (draws from torch's global generator)."""
        from supernets.families.convolutional.mobile_net import MobileNet

        return MobileNet(self)
