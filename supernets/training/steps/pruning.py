"""What a pruner sees of a training, and its changes applied."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from supernets.elastic.active import use
from supernets.recipes.pruners.pruner import Change, Units
from supernets.tasks.task import Batch
from supernets.training.steps.training import Shard, Training


class PruningView:
    """See :class:`supernets.recipes.pruners.pruner.Moment`."""

    def __init__(self, training: Training, batch: Batch, rate: float) -> None:
        self._training, self._batch = training, batch
        self.step, self.steps, self.rate = training.step, training.recipe.steps, rate
        self.units: Units = training.shard.units
        parameters = dict(training.net.named_parameters())
        self.weights: Mapping[str, Tensor] = {name: each.detach() for name, each in parameters.items()}
        self.slopes: Mapping[str, Tensor] = {
            name: torch.zeros_like(each) if each.grad is None else each.grad
            for name, each in parameters.items()
        }

    def loss(self, values: Mapping[str, Tensor]) -> float:
        """Plain loss of the largest network on this batch; a forward pass is billed."""
        training, net = self._training, self._training.net
        before = {name: self.weights[name].clone() for name in values}
        _write(values, self.weights)
        try:
            arch = training.space.max()
            with torch.no_grad(), use(net, arch, norm=training.processes.norm):
                found = float(training.task.loss(net(*self._batch.at(arch)).float(), self._batch.targets))
        finally:
            _write(before, self.weights)
        training.forwards += 1
        return training.processes.mean([found], training.device)[0]


@torch.no_grad()
def change(made: Change | None, shard: Shard) -> None:
    """Write the values of a change; an average of the weights takes over the zeros."""
    if made is None:
        return
    _write(made.values, {name: each.detach() for name, each in shard.net.named_parameters()})
    if shard.average is not None:
        mean = dict(shard.average.named_parameters())
        for name, value in made.values.items():
            mean[name].masked_fill_(value == 0, 0.0)
    if made.restart:
        for buffer in shard.momenta().values():
            buffer.zero_()


def _write(values: Mapping[str, Tensor], into: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, value in values.items():
            into[name].copy_(value)
