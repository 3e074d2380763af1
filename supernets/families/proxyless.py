"""ProxylessNAS supernets (Cai et al., 2019) as once-for-all trains them (Cai et al., 2020). No torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from supernets.families.convolutional.mobile import MobileConfig, MobileFamily, Stage

if TYPE_CHECKING:
    from supernets.elastic.active import ElasticModel

STAGES = (
    Stage(24, 2, "relu6"),
    Stage(40, 2, "relu6"),
    Stage(80, 2, "relu6"),
    Stage(96, 1, "relu6"),
    Stage(192, 2, "relu6"),
    Stage(320, 1, "relu6", depths=(1,)),
)


@dataclass(frozen=True)
class ProxylessConfig(MobileConfig):
    """The defaults are those of once-for-all at width 1.3."""

    base_width: float = 1.3
    stem_width: int = 32
    stem_activation: str = "relu6"
    first_activation: str = "relu6"
    stages: tuple[Stage, ...] = STAGES
    head_width: int | None = None
    head_activation: str = "relu6"
    norm_eps: float = 1e-3


@dataclass(frozen=True)
class Proxyless(MobileFamily):
    """See :mod:`supernets.families.convolutional.mobile`."""

    settings: MobileConfig = field(default_factory=ProxylessConfig)
    name = "proxyless"
    config_type: ClassVar[type[MobileConfig]] = ProxylessConfig

    def build(self) -> ElasticModel:
        """A freshly initialised network (draws from torch's global generator)."""
        from supernets.families.convolutional.mobile_net import MobileNet

        return MobileNet(self)
