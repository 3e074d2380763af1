"""A training between two steps: networks, optimizers, open regions and parts."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from supernets.data import DataSet
from supernets.elastic.active import ElasticModel
from supernets.elastic.masks import Masks
from supernets.elastic.sharded import ShardedNet
from supernets.families.family import Family
from supernets.recipes.parts import Controller, Hook, Loss, Part, Sampler
from supernets.recipes.pruners.pruner import Pruner, Units
from supernets.recipes.recipe import Recipe
from supernets.records import DataRecord, OriginRecord, SittingRecord, StageRecord
from supernets.spaces.space import Arch, Space
from supernets.tasks.task import Batch, Task
from supernets.training.steps.processes import Processes
from supernets.training.steps.teacher import ExternalTeacher

MOMENTS = ("momentum_buffer", "exp_avg", "exp_avg_sq")
"""The slots of the optimizers that have the shape of their parameter; momentum first."""


@dataclass
class Shard:
    """A region of the space with weights of its own; most trainings have one shard throughout."""

    region: Space
    net: ElasticModel
    optimizer: torch.optim.Optimizer
    average: ElasticModel | None = None
    module: nn.Module | None = field(default=None, repr=False)

    @property
    def result(self) -> ElasticModel:
        """The network to evaluate and to keep: the averaged one where there is one."""
        return self.net if self.average is None else self.average

    @cached_property
    def parameters(self) -> tuple[nn.Parameter, ...]:
        """Those of ``net`` that are trained, listed once: to walk a small network takes as long as several layers."""
        return tuple(p for p in self.net.parameters() if p.requires_grad)

    @cached_property
    def units(self) -> Units:
        """What a pruner may remove."""
        found: Units = self.net.units()
        return found

    def momenta(self) -> dict[str, Tensor]:
        """The optimizer's momentum, by parameter name."""
        return next(iter(self.moments()), {})

    def moments(self) -> list[dict[str, Tensor]]:
        """Everything of the shape of its parameter that the optimizer keeps, each by parameter name."""
        state, named = self.optimizer.state, dict(self.net.named_parameters())
        found = [
            {
                name: state[parameter][slot]
                for name, parameter in named.items()
                if state.get(parameter, {}).get(slot) is not None
            }
            for slot in MOMENTS
        ]
        return [each for each in found if each]


@dataclass
class Training:
    """A training between two steps: what a checkpoint holds, and what the next stage resumes from.

    ``passes`` counts forward and backward passes of subnets, ``forwards`` those forward only (teachers,
    candidates); ``space`` is the recipe's part of the family's space; ``teacher`` is a frozen copy of an own
    network, ``external`` one from outside; ``predictor`` is what a pruner goes by, and ``first_family`` what a
    network that has grown began as. ``sittings`` are the calls of
    ``train`` it took. Where an earlier training was the start, ``source`` names it and ``earlier`` are its stages'
    records; ``original`` are entries of its report card on the network as it came. ``unlogged`` are the losses by
    role since the last line of the log.
    """

    recipe: Recipe
    family: Family
    task: Task
    data: DataSet
    seed: int
    space: Space
    shards: list[Shard]
    sampler: Sampler
    loss: Loss
    controllers: tuple[Controller, ...]
    hooks: tuple[Hook, ...]
    pruner: Pruner | None
    device: torch.device
    processes: Processes
    teacher: ElasticModel | None = None
    external: ExternalTeacher | None = None
    first_family: Family | None = None
    predictor: OriginRecord | None = None
    step: int = 0
    passes: int = 0
    forwards: int = 0
    seconds: float = 0.0
    sittings: tuple[SittingRecord, ...] = ()
    source: OriginRecord | None = None
    earlier: tuple[StageRecord, ...] = ()
    earlier_metrics: tuple[str, ...] = field(default=(), repr=False)
    original: dict[str, Any] = field(default_factory=dict, repr=False)
    unlogged: dict[str, list[float]] = field(default_factory=dict, repr=False)
    _masks: Masks | None = field(default=None, repr=False)

    @property
    def finished(self) -> bool:
        """Whether all steps of the recipe are done."""
        return self.step >= self.recipe.steps

    @property
    def stage(self) -> int:
        """Which stage of the supernet's training this is, from 1."""
        return len(self.earlier) + 1

    @property
    def shard(self) -> Shard:
        """The shard whose turn it is: they take turns, step by step."""
        return self.shards[self.step % len(self.shards)]

    @property
    def net(self) -> ElasticModel:
        """The network of the shard whose turn it is."""
        return self.shard.net

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """The optimizer of the shard whose turn it is."""
        return self.shard.optimizer

    @property
    def result(self) -> ElasticModel:
        """The network to evaluate and to keep; of a split training all of them, each for its own region."""
        if len(self.shards) == 1:
            return self.shards[0].result
        nets, regions = zip(*[(shard.result, shard.region) for shard in self.shards], strict=True)
        return ShardedNet(self.family, nets, regions)

    def result_of(self, arch: Arch) -> ElasticModel:
        """The network whose region holds ``arch``, or else the first."""
        fitting = [shard for shard in self.shards if shard.region.contains(arch)]
        return (fitting or self.shards)[0].result

    @property
    def billed(self) -> float:
        """Cost so far in forward-backward passes of subnets; a forward alone is a third of one."""
        return self.passes + self.forwards / 3

    def parts(self) -> dict[str, Part]:
        """All parts of the recipe, named as in a state."""
        named: dict[str, Part] = {"sampler": self.sampler, "loss": self.loss}
        named |= {f"controller{k}": part for k, part in enumerate(self.controllers)}
        named |= {f"hook{k}": part for k, part in enumerate(self.hooks)}
        return named | ({} if self.pruner is None else {"pruner": self.pruner})

    def record(self) -> StageRecord:
        """This stage as provenance: what it trained with, on what, from where, and what it has cost."""
        external = self.external
        return StageRecord(
            recipe={**self.recipe.as_json(), "sha256": self.recipe.sha256},
            seed=self.seed,
            data=DataRecord.model_validate(self.data.describe()),
            source=self.source,
            teacher=None if external is None else OriginRecord(name=external.name, sha256=external.sha256),
            predictor=self.predictor,
            steps=self.step,
            passes=self.passes,
            billed_passes=round(self.billed, 2),
            images=self.step * self.recipe.batch_size,
            seconds=round(self.seconds, 1),
            sittings=list(self.sittings),
        )

    def batch(self, stored: Tensor, labels: Tensor, *views: Tensor) -> Batch:
        """Stored examples, further views of them, and their labels as a batch on this training's device."""
        return Batch(self.task, self.family, self.data, (stored, labels), self.device, views)

    def masks(self, arch: Arch) -> Mapping[str, Tensor]:
        """0/1 by parameter name: which entries of the weights ``arch`` uses."""
        if self._masks is None:
            self._masks = Masks(
                self.shards[0].net, lambda each: self.task.example(self.family.dimensions(each))
            )
        return self._masks(arch)

    def forget_masks(self) -> None:
        """After the network has become another one."""
        self._masks = None


def make_shard(recipe: Recipe, region: Space, net: ElasticModel) -> Shard:
    """A shard that trains ``net``, with a fresh optimizer."""
    average = None if recipe.ema_decay is None else copy.deepcopy(net).requires_grad_(False)
    return Shard(region, net, _optimizer(recipe, net), average)


def _optimizer(recipe: Recipe, net: nn.Module) -> torch.optim.Optimizer:
    settings = recipe.optimizer
    trained = [(name, p) for name, p in net.named_parameters() if p.requires_grad]
    decayed = [p for n, p in trained if p.ndim > 1 and not n.endswith("_matrix")]
    free = [p for n, p in trained if p.ndim <= 1 or n.endswith("_matrix")]
    groups = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    if settings.kind == "adamw":
        # one pass over the weights in place of ten: on a CPU the step takes a third of the time
        on_cpu = all(p.device.type == "cpu" for _, p in trained)
        return torch.optim.AdamW(
            groups,
            lr=settings.lr,
            betas=(settings.momentum, settings.second_momentum),
            foreach=not on_cpu,
            fused=on_cpu,
        )
    return torch.optim.SGD(
        groups,
        lr=settings.lr,
        momentum=settings.momentum,
        nesterov=settings.momentum > 0,
    )
