"""What the parts of a recipe may read between steps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from supernets.data.stored.order import mix
from supernets.elastic.active import use
from supernets.recipes.parts import Grow, Score
from supernets.spaces.growth import Growth
from supernets.spaces.space import Arch, Space
from supernets.training.steps.growing import larger, score
from supernets.training.steps.training import Training


class StepView:
    """What controllers and samplers may look at between steps; see :class:`supernets.recipes.parts.View`."""

    def __init__(self, training: Training) -> None:
        self._training = training
        self.step, self.steps, self.space = training.step, training.recipe.steps, training.space
        self.turn = training.step % len(training.shards)
        self.regions: tuple[Space, ...] = tuple(shard.region for shard in training.shards)

    def gradients(
        self,
        shard: int,
        arch: Arch,
        draw: int,
        split: str = "train",
        moved: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Gradient of the task's plain loss of ``arch`` on batch ``draw`` of this step, without augmentation.

        ``moved`` is added to the weights meanwhile. Costs a pass.
        """
        training, net = self._training, self._training.shards[shard].net
        source, processes = training.data.split(split), training.processes
        rng = np.random.default_rng(mix(training.seed, training.step, 2, draw))
        size = min(training.recipe.batch_size, len(source) // processes.size * processes.size)
        stored, labels = source.sample(rng, size)
        part = processes.part(len(stored))
        batch = training.batch(stored[part], labels[part])
        parameters = dict(net.named_parameters())
        before = {name: parameters[name].detach().clone() for name in moved or {}}
        for name, delta in (moved or {}).items():
            parameters[name].data.add_(delta)
        net.train()
        with use(net, arch, norm=training.processes.norm):
            loss = training.task.loss(net(*batch.at(arch)), batch.targets)
            trained = {name: each for name, each in parameters.items() if each.requires_grad}
            got = torch.autograd.grad(loss, list(trained.values()), allow_unused=True)
        for name, value in before.items():
            parameters[name].data.copy_(value)
        found = {
            n: torch.zeros_like(p) if g is None else g for (n, p), g in zip(trained.items(), got, strict=True)
        }
        training.processes.average(list(found.values()))
        training.passes += 1
        return found

    def masks(self, arch: Arch) -> dict[str, Tensor]:
        """0/1 per weight entry: which of them ``arch`` uses."""
        return dict(self._training.masks(arch))

    def growths(self, channels: int, capacity: int) -> tuple[Growth, ...]:
        """See :class:`supernets.recipes.parts.View`."""
        return self._training.family.growths(channels, capacity)

    def expansion(self, grow: Grow | None, examples: int, damping: float) -> Score:
        """See :class:`supernets.recipes.parts.View`."""
        training = self._training
        net = training.shards[0].net
        if grow is not None:
            net = larger(grow, net, training)[0].to(training.device)
        return score(training, net, examples, damping)
