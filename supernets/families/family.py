"""What a kind of supernet must offer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from supernets.metrics import ACTIVATION, MACS, PARAMS, SIZE
from supernets.spaces.cost import CostCounter
from supernets.spaces.growth import Growth
from supernets.spaces.layers import LayerSpec, Segment
from supernets.spaces.space import Arch, Population, Space

if TYPE_CHECKING:
    from supernets.elastic.active import ElasticModel


class Family(ABC):
    """One kind of supernet, sized by its configuration.

    Promises: immutable; importing and constructing it needs no torch (only :meth:`build` does);
    ``layers`` equals the extracted network layer by layer, so params and MACs are exact;
    ``from_config(f.config()) `` equals ``f``; unknown configuration keys are refused. A family without
    networks (``has_network`` False) is a space and nothing more: :meth:`build` and :meth:`dimensions` raise
    ``SpaceError``. ``known_costs`` names the closed-form metrics that its layers really give.
    """

    name: str
    has_network: ClassVar[bool] = True
    prunable: ClassVar[bool] = False
    """Whether its networks have units that a pruner may remove (:meth:`ElasticModel.units`)."""
    input_axes: ClassVar[tuple[str, ...]] = ()
    """Axes of the space that decide the dimensions of an arch, such as ``resolution``."""
    fitted: ClassVar[Mapping[str, str]] = {}
    """Which setting holds which dimension, for the dimensions that data determine (``outputs``: its setting)."""
    further: ClassVar[str] = "random"
    """The recipe for training weights further where none is named."""
    known_costs: tuple[str, ...] = (PARAMS, MACS, ACTIVATION, SIZE)

    @classmethod
    @abstractmethod
    def from_config(cls, config: Mapping[str, object]) -> Family:
        """The family with this JSON configuration; raises ``SpaceError`` for unknown or bad values."""

    @abstractmethod
    def config(self) -> dict[str, object]:
        """The JSON configuration, every field present."""

    @abstractmethod
    def space(self) -> Space:
        """All its subnets."""

    @abstractmethod
    def segments(self) -> tuple[Segment, ...]:
        """The layers, cut so that each piece depends on few axes."""

    @abstractmethod
    def dimensions(self, arch: Arch) -> dict[str, int]:
        """Named sizes of what ``arch`` reads and returns.

        The names are those of the task (:mod:`supernets.tasks`): ``channels``, ``height``, ``width`` and
        ``outputs`` for images. The task makes inputs of these sizes.
        """

    def largest_like(self, arch: Arch) -> Arch:
        """The largest arch that reads the same inputs as ``arch``: equal in the ``input_axes``."""
        space, own = self.space(), arch.as_dict()
        return space.arch(
            {
                name: own[name] if name in self.input_axes else choice
                for name, choice in space.max().as_dict().items()
            }
        )

    def growths(self, channels: int, capacity: int) -> tuple[Growth, ...]:  # noqa: ARG002 (none by default)
        """What a training may add to its networks (:meth:`ElasticModel.grown`): ``channels`` to an axis, or a layer.

        ``capacity``: the most layers that are added to a block.
        """
        return ()

    @abstractmethod
    def build(self) -> ElasticModel:
        """A freshly initialised elastic network (initialised from torch's global generator)."""

    def difference(self, other: Family) -> str:
        """In which settings ``other`` differs, ``kernels is [3, 5] there, [3] here``; empty where they are equal."""
        if self.name != other.name:
            return f"the family is {other.name!r} there, {self.name!r} here"
        own, known = self.config(), other.config()
        return "; ".join(
            f"{key} is {known.get(key)} there, {own.get(key)} here"
            for key in sorted(known.keys() | own.keys())
            if known.get(key) != own.get(key)
        )

    def layers(self, arch: Arch) -> tuple[LayerSpec, ...]:
        """One row per layer of ``arch``, in order of execution."""
        choices = arch.as_dict()
        rows: list[LayerSpec] = []
        for segment in self.segments():
            rows += segment.layers({axis: choices[axis] for axis in segment.axes if axis in choices})
        return tuple(rows)

    @cached_property
    def _counter(self) -> CostCounter:
        return CostCounter(self.space(), self.segments())

    def costs(self, population: Population) -> dict[str, NDArray[np.float64]]:
        """Closed-form metrics ``(n,)`` of a population: params, macs, activation_mb, size_mb."""
        return self._counter(population)
