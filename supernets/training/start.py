"""The start of a training: its networks, optimizers and parts at step 0."""

from __future__ import annotations

import torch
from torch import nn

from supernets.errors import DataError, RecipeError, SpaceError
from supernets.families.family import Family
from supernets.recipes.recipe import Recipe
from supernets.spaces.space import Space
from supernets.training.further import go_on
from supernets.training.plan import TrainingPlan, setting_of
from supernets.training.steps.frozen import freeze
from supernets.training.steps.processes import Processes
from supernets.training.steps.training import Training, make_shard


def start(
    plan: TrainingPlan, *, device: str | torch.device = "cpu", processes: Processes | None = None
) -> Training:
    """A training at step 0; the same plan gives the same weights.

    Raises:
        DataError: data that do not fit the task, the family, the batch size or the source.
        RecipeError: a recipe that does not fit the task, the family or the teacher.
        CheckpointError: a source or teacher of another family, task or classes.
    """
    recipe, family, processes = plan.recipe, plan.family, processes or Processes()
    _check(plan, processes)
    space = _space(recipe, family)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        net = family.build()
    if recipe.zero_init_residual:
        for norm in net.residual_norms():
            nn.init.zeros_(norm.weight)
    freeze(net, recipe.frozen)
    net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    training = Training(
        recipe=recipe,
        family=family,
        task=plan.task,
        data=plan.data,
        seed=plan.seed,
        space=space,
        shards=[make_shard(recipe, space, net)],
        sampler=recipe.make_sampler(),
        loss=recipe.make_loss(),
        controllers=recipe.make_controllers(),
        hooks=recipe.make_hooks(),
        pruner=recipe.make_pruner(),
        device=torch.device(device),
        processes=processes,
        external=plan.teacher,
        predictor=None if plan.predicted is None else plan.predicted.origin,
    )
    training.loss.check(plan.task)
    if any(controller.reorders for controller in training.controllers):
        net.channel_groups()  # a family that cannot sort channels raises before the first step
    setting = setting_of(family, recipe, plan.seed, plan.predicted, training.device)
    for part in training.parts().values():
        part.begin(setting)
    if plan.source is not None:
        go_on(training, plan.source, momentum=plan.momentum)
    return training


def _check(plan: TrainingPlan, processes: Processes) -> None:
    recipe, data = plan.recipe, plan.data
    if len(data.train) < recipe.batch_size:
        raise DataError(
            f"batch_size must be at most the {len(data.train)} training examples, got {recipe.batch_size}"
        )
    plan.task.check(plan.family, data)
    recipe.check_teacher(plan.teacher is not None)
    if plan.teacher is not None:
        plan.teacher.check(plan.task, data)
    processes.check(recipe.batch_size)


def _space(recipe: Recipe, family: Family) -> Space:
    try:
        return recipe.space.of(family.space())
    except SpaceError as error:
        raise RecipeError(f"space of recipe {recipe.name!r} does not fit the family: {error}") from error
