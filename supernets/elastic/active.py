"""Which subnet of an elastic network is in force, and for how long."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from supernets.elastic.norm import BNStats, Norm, normalise_by_batch, normalise_by_running, normalise_by_stats
from supernets.elastic.reorder import ChannelGroup, reorder
from supernets.errors import CheckpointError, TrainingError
from supernets.spaces.growth import Growth
from supernets.spaces.space import Arch, Population, Space

Inputs = tuple[Tensor, ...]
"""Arguments of a forward pass, examples along the first dimension of each."""
Carry = Callable[[str, Tensor], Tensor]
"""A tensor like a parameter, with that parameter's name, to the tensor of a larger network."""


class Architecture(Protocol):
    """What an elastic network needs of its family (:class:`supernets.families.family.Family`)."""

    @property
    def name(self) -> str:
        """Name of the family."""
        ...

    def space(self) -> Space:
        """All subnets."""
        ...

    def dimensions(self, arch: Arch) -> Mapping[str, int]:
        """Named sizes of what ``arch`` reads and returns."""
        ...

    def costs(self, population: Population) -> Mapping[str, NDArray[np.float64]]:
        """Closed-form metrics ``(n,)`` of a population."""
        ...


class ElasticModel(nn.Module, ABC):
    """One set of weights with very many subnets in it.

    Promises: a forward pass writes nothing into the network, in training mode either; which arch and
    which BatchNorm statistics are in force is set by :func:`use` alone, and is the largest arch with the
    stored running statistics otherwise; every weight of a subnet is a leading slice of a shared weight
    (kernels: a transformed centre crop).
    """

    family: Architecture
    norms_may_overwrite: ClassVar[bool] = False
    """Whether nothing but its BatchNorm reads the input of any BatchNorm."""

    def __init__(self, family: Architecture) -> None:
        super().__init__()
        self.family = family
        self._arch = family.space().max()
        self._stats: BNStats | None = None
        self._dropout = 0.0
        self._norm: Callable[[str, nn.BatchNorm2d, Tensor], Tensor] | None = None

    @abstractmethod
    def run(self, inputs: Inputs, arch: Arch, norm: Norm, dropout: float) -> Tensor:
        """Outputs of ``arch`` for ``n`` examples; ``norm`` stands for every BatchNorm."""

    @abstractmethod
    def materialise(self, arch: Arch, stats: BNStats | None) -> nn.Module:
        """A plain network with copies of the weights of ``arch``; see :func:`supernets.extract.extract`."""

    @abstractmethod
    def residual_norms(self) -> list[nn.BatchNorm2d]:
        """The last BatchNorm of every residual block (BigNAS starts them at zero)."""

    def channel_groups(self) -> list[ChannelGroup]:
        """Channels that may be permuted together; a family without an order raises ``TrainingError``."""
        raise TrainingError(
            f"family {self.family.name!r} cannot sort channels; leave reorder out of the recipe's stages"
        )

    def used(self, arch: Arch) -> dict[str, Tensor] | None:  # noqa: ARG002
        """Parameter name to 1.0 where ``arch`` uses the entry, else 0.0; None leaves it to be found by a gradient."""
        return None

    def sort_channels(self, region: Space, followers: Iterable[Mapping[str, Tensor]] = ()) -> None:
        """Sort channels by importance within the widths of ``region``; see :mod:`supernets.elastic.reorder`."""
        reorder(self, self.channel_groups(), region, followers)

    def units(self) -> Any:
        """Units that may be removed, :class:`supernets.recipes.pruners.pruner.Units`; else ``TrainingError``."""
        raise TrainingError(f"family {self.family.name!r} has no units that can be removed")

    def without_zeros(self) -> ElasticModel:
        """The network without units whose entries are all zero, of a family of its own; itself where there are none."""
        return self

    def grown(self, growth: Growth, scale: float, generator: torch.Generator) -> tuple[ElasticModel, Carry]:
        """A larger network, of a family of its own, that computes the same but for noise of the new entries.

        ``scale``: standard deviation of that noise, drawn from ``generator``; with 0 nothing changes. What is returned
        second gives a tensor like a parameter of this network, by its name, the shape that it has there, with zeros for
        new entries.
        """
        raise TrainingError(f"family {self.family.name!r} cannot grow by {growth}, {scale}, {generator}")

    @property
    def arch(self) -> Arch:
        """The arch in force."""
        return self._arch

    def forward(self, *inputs: Tensor) -> Tensor:
        """Outputs of the arch in force for ``n`` examples."""
        if self._norm is not None:
            norm: Norm = self._norm
        elif self.training:
            norm = normalise_by_batch
        elif self._stats is not None:
            norm = normalise_by_stats(self._stats)
        else:
            norm = normalise_by_running
        return self.run(inputs, self._arch, norm, self._dropout if self.training else 0.0)

    def norms(self) -> dict[str, nn.BatchNorm2d]:
        """Name to BatchNorm, in order of registration."""
        return {name: module for name, module in self.named_modules() if isinstance(module, nn.BatchNorm2d)}

    def load_weights(self, state: dict[str, Tensor]) -> None:
        """Load a complete state; missing, unexpected and misshapen tensors raise ``CheckpointError``."""
        own: dict[str, Any] = self.state_dict()
        missing, foreign = sorted(set(own) - set(state)), sorted(set(state) - set(own))
        wrong = sorted(k for k in set(own) & set(state) if own[k].shape != state[k].shape)
        if missing or foreign or wrong:
            shapes = [f"{k} {tuple(state[k].shape)} instead of {tuple(own[k].shape)}" for k in wrong[:3]]
            raise CheckpointError(
                f"weights must match the network exactly, got {len(missing)} missing {missing[:3]}, "
                f"{len(foreign)} unexpected {foreign[:3]}, {len(wrong)} of another shape {shapes}; "
                "weights of another family or of other sizes do not fit"
            )
        for name, tensor in state.items():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise CheckpointError(f"weights must be finite, {name!r} is not")
        self.load_state_dict(state)


@contextmanager
def use(
    net: ElasticModel,
    arch: Arch,
    stats: BNStats | None = None,
    *,
    dropout: float = 0.0,
    norm: Norm | None = None,
) -> Iterator[ElasticModel]:
    """Make ``arch`` the active subnet; what was in force before is restored, also after an exception.

    ``stats`` are the BatchNorm statistics of evaluation mode (without them the shared running statistics
    serve, which are right for the largest arch only). ``dropout`` counts in training mode only. ``norm``
    replaces every BatchNorm (recalibration does that).
    """
    arch = net.family.space().arch(arch.as_dict())
    if stats is not None:
        stats.check(arch)
    before = net._arch, net._stats, net._dropout, net._norm
    net._arch, net._stats, net._dropout, net._norm = arch, stats, dropout, norm
    try:
        yield net
    finally:
        net._arch, net._stats, net._dropout, net._norm = before
