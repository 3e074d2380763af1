"""The processes of one training: alone, or several that ``torchrun`` started."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from supernets.elastic.active import ElasticModel
from supernets.elastic.norm import Norm
from supernets.errors import TrainingError


@dataclass(frozen=True)
class Processes:
    """This process' place among ``size`` that train one network; every one sees an equal share of a batch.

    With several, gradients are averaged by ``DistributedDataParallel`` in a step's last backward pass, and
    batch statistics are those of the whole batch: the losses are those of one process, up to rounding.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    @property
    def norm(self) -> Norm | None:
        """What stands for every BatchNorm in training; ``None``: the network's own."""
        return None if self.size == 1 else normalise_by_all

    def check(self, batch_size: int) -> None:
        """Refuse a batch that cannot be shared out equally."""
        if batch_size % self.size:
            raise TrainingError(
                f"batch_size must be a multiple of the {self.size} processes, got {batch_size}"
            )

    def part(self, n: int) -> slice:
        """This process' part of a batch of ``n``."""
        share = n // self.size
        return slice(self.rank * share, (self.rank + 1) * share)

    def wrap(self, net: ElasticModel) -> nn.Module:
        """What to call in place of ``net``."""
        if self.size == 1:
            return net
        return DistributedDataParallel(net, find_unused_parameters=True, broadcast_buffers=False)

    def synchronise(self, module: nn.Module, now: bool) -> AbstractContextManager[object]:
        """A context whose backward pass averages all gradients gathered so far (``now``), or none."""
        if now or not isinstance(module, DistributedDataParallel):
            return contextlib.nullcontext()
        return module.no_sync()

    def average(self, tensors: list[Tensor]) -> None:
        """Replace tensors by their mean over all processes, in one exchange."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        parts = torch.split(flat / self.size, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def mean(self, values: list[float], device: torch.device | str = "cpu") -> list[float]:
        """Means over all processes; equal everywhere."""
        if self.size == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.float64, device=device)
        dist.all_reduce(tensor)
        return [float(value) / self.size for value in tensor.cpu()]

    def wait(self) -> None:
        """Return when all processes have come here."""
        if self.size > 1:
            dist.barrier()


@contextlib.contextmanager
def joined(backend: str = "gloo") -> Iterator[Processes]:
    """The processes that ``torchrun`` started (it sets ``RANK``, ``WORLD_SIZE``, …), or this one alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Processes()
        return
    dist.init_process_group(backend)
    try:
        yield Processes(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


class _Sum(torch.autograd.Function):
    """Sum over all processes; so is its gradient."""

    @staticmethod
    def forward(_ctx: object, x: Tensor) -> Tensor:
        y = x.clone()
        dist.all_reduce(y)
        return y

    @staticmethod
    def backward(_ctx: object, *gradients: Tensor) -> Tensor:
        y = gradients[0].contiguous().clone()
        dist.all_reduce(y)
        return y


def normalise_by_all(_name: str, bn: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Statistics of the batch over all processes, whose shares are equal; the running ones are left alone."""
    channels, shape = x.shape[1], (1, -1, 1, 1)
    values = x.float()
    count = values.numel() // channels * dist.get_world_size()
    mean = _Sum.apply(values.sum((0, 2, 3))) / count  # type: ignore[no-untyped-call]
    centred = values - mean.view(shape)
    variance = _Sum.apply(centred.square().sum((0, 2, 3))) / count  # type: ignore[no-untyped-call]
    y = centred * (variance + bn.eps).rsqrt().view(shape)
    y = y * bn.weight[:channels].view(shape) + bn.bias[:channels].view(shape)
    result: Tensor = y.to(x.dtype)
    return result
