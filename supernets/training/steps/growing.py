"""A training that goes on with a larger network: weights and optimizer state of the old entries stay as they are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from supernets.data.stored.order import mix
from supernets.elastic.active import Carry, ElasticModel, use
from supernets.errors import TrainingError
from supernets.recipes.parts import Grow, Score
from supernets.spaces.coupled import within
from supernets.tasks.task import Batch
from supernets.training.steps.training import Shard, Training, make_shard

NOISE, EXAMPLES = 3, 4
"""What numbers are drawn for, beside seed and step; a view draws batches with 2."""
TOGETHER = 32
"""Examples that go forward together."""


def grow(event: Grow, training: Training) -> None:
    """Apply ``event``; the teacher that a controller froze stays behind, as it reads another space."""
    if len(training.shards) > 1:
        raise TrainingError("a network cannot grow after a split")
    old = training.shards[0]
    net, carry = larger(event, old.net, training)
    average = None if old.average is None else larger(event, old.average, training)[0]
    shard = become(training, net)
    if average is not None:
        shard.average = average.to(training.device).requires_grad_(False)
    carry_state(old, shard, carry)


def larger(event: Grow, net: ElasticModel, training: Training) -> tuple[ElasticModel, Carry]:
    """The network with what is added to it; equal calls at one step draw equal noise."""
    generator = torch.Generator().manual_seed(mix(training.seed, training.step, NOISE))
    found, carry = net.grown(event.growth, event.scale, generator)
    trained = {name: each.requires_grad for name, each in net.named_parameters()}
    for name, parameter in found.named_parameters():
        parameter.requires_grad_(trained.get(name, parameter.requires_grad))
    return found, carry


def become(training: Training, net: ElasticModel) -> Shard:
    """Make this the network of a training, with the family that it belongs to and a fresh optimizer."""
    if training.first_family is None:
        training.first_family = training.family
    training.family = net.family  # type: ignore[assignment]  # a network knows the part of it that it needs
    training.space = training.recipe.space.of(training.family.space())
    net.to(training.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    region = within(training.space, tuple((allowed[-1],) for allowed in training.space.allowed))
    shard = make_shard(training.recipe, region, net)
    training.shards, training.teacher = [shard], None
    training.forget_masks()
    return shard


def carry_state(old: Shard, new: Shard, carry: Carry) -> None:
    """Momentum and the like of the old entries; new entries begin at zero, new parameters without."""
    before = dict(old.net.named_parameters())
    for name, parameter in new.net.named_parameters():
        known = before.get(name)
        if known is None or known not in old.optimizer.state:
            continue
        new.optimizer.state[parameter] = {
            slot: carry(name, value) if isinstance(value, Tensor) and value.shape == known.shape else value
            for slot, value in old.optimizer.state[known].items()
        }


def score(training: Training, net: ElasticModel, examples: int, damping: float) -> Score:
    """See :meth:`supernets.recipes.parts.View.expansion`; BatchNorms see :data:`TOGETHER` examples at a time."""
    source = training.data.train
    size = min(examples, len(source))
    stored, labels = source.sample(np.random.default_rng(mix(training.seed, training.step, EXAMPLES)), size)
    parameters = [each for each in net.parameters() if each.requires_grad]
    mean = [torch.zeros_like(each, dtype=torch.float64) for each in parameters]
    squares = [torch.zeros_like(each, dtype=torch.float64) for each in parameters]
    net.train()
    for first in range(0, size, TOGETHER):
        part = slice(first, first + TOGETHER)
        for found in _gradients(training, net, parameters, training.batch(stored[part], labels[part])):
            for total, square, gradient in zip(mean, squares, found, strict=True):
                if gradient is not None:
                    total += gradient.double() / size
                    square += gradient.double().square() / size
    training.forwards += score_passes(size, training.recipe.batch_size)
    value = natural(mean, squares, damping)
    return Score(
        training.processes.mean([value], training.device)[0], sum(each.numel() for each in parameters)
    )


def score_passes(examples: int, batch_size: int) -> int:
    """Cost of a score in forward passes of a batch: one of all examples, and for each a backward pass of its part."""
    return max(1, round((1 + 2 * min(examples, TOGETHER)) * examples / batch_size))


def _gradients(
    training: Training, net: ElasticModel, parameters: list[nn.Parameter], batch: Batch
) -> Iterator[tuple[Tensor | None, ...]]:
    """The gradients of each example."""
    arch = net.family.space().max()
    with use(net, arch, norm=training.processes.norm):
        outputs = net(*batch.at(arch)).float()
    for place in range(len(outputs)):
        loss = training.task.loss(outputs[place : place + 1], batch.targets[place : place + 1])
        again = place < len(outputs) - 1
        yield torch.autograd.grad(loss, parameters, retain_graph=again, allow_unused=True)


def natural(mean: list[Tensor], squares: list[Tensor], damping: float) -> float:
    """``Σ g² / (F + δ)`` with ``δ`` a share of the mean of ``F``; 0 where all gradients are zero."""
    count = sum(each.numel() for each in squares)
    level = float(sum(each.sum() for each in squares)) / max(1, count)
    if level == 0:
        return 0.0
    return float(sum((g.square() / (f + damping * level)).sum() for g, f in zip(mean, squares, strict=True)))
