"""The events of controllers applied to a training: regions, channel order, teachers, shards."""

from __future__ import annotations

import copy

from supernets.errors import TrainingError
from supernets.recipes.parts import Event, Grow, Open, Reorder, Split, SwapTeacher
from supernets.spaces.coupled import within
from supernets.spaces.space import Space
from supernets.training.steps.growing import grow
from supernets.training.steps.training import Shard, Training, make_shard


def apply(event: Event, training: Training) -> None:
    """Apply ``event`` to the structure of ``training``."""
    if isinstance(event, Open):
        _open(event, training)
    elif isinstance(event, Reorder):
        for shard in training.shards:
            reorder_shard(shard)
    elif isinstance(event, SwapTeacher):
        if training.external is not None:
            return  # a teacher from outside stays
        training.teacher = copy.deepcopy(training.shards[0].net).requires_grad_(False).train()
    elif isinstance(event, Grow):
        grow(event, training)
    else:
        _split(event, training)


def _open(event: Open, training: Training) -> None:
    if len(training.shards) > 1:
        raise TrainingError("a region cannot be opened after a split: let the last stage start before it")
    training.shards[0].region = within(training.space, event.allowed)


def reorder_shard(shard: Shard) -> None:
    """Sort channels within the widths trained so far; momentum and averaged weights move along."""
    followers = shard.moments()
    if shard.average is not None:
        followers.append(dict(shard.average.named_parameters()))
    shard.net.sort_channels(shard.region, followers)


def narrowed(region: Space, axis: str, group: tuple[int, ...]) -> Space:
    """The part of ``region`` in which ``axis`` takes only the choices with these indices."""
    allowed = [list(indices) for indices in region.allowed]
    allowed[region.column(axis)] = list(group)
    return within(region, allowed)


def _split(event: Split, training: Training) -> None:
    """Children start as the parent stands: weights, momentum, average."""
    parent = training.shards[event.shard]
    children = []
    for group in event.groups:
        child = make_shard(
            training.recipe, narrowed(parent.region, event.axis, group), copy.deepcopy(parent.net)
        )
        child.optimizer.load_state_dict(copy.deepcopy(parent.optimizer.state_dict()))
        child.average = copy.deepcopy(parent.average)
        children.append(child)
    training.shards[event.shard : event.shard + 1] = children
