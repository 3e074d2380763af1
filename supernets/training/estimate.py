"""The cost of a training before it starts: a rehearsal of all its steps without a forward pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from supernets.families.family import Family
from supernets.metrics import MACS, PARAMS
from supernets.recipes.parts import (
    AVERAGE,
    TEACHER,
    Event,
    Grow,
    Open,
    Score,
    Setting,
    Split,
    SwapTeacher,
)
from supernets.recipes.recipe import Recipe
from supernets.spaces.coupled import within
from supernets.spaces.growth import Growth
from supernets.spaces.layers import BYTES_PER_ELEMENT
from supernets.spaces.space import Arch, Space
from supernets.training.steps.growing import score_passes
from supernets.training.steps.structure import narrowed

KEPT_PER_OUTPUT = 3
"""A layer's output is kept for the backward pass about three times: convolution, norm and activation."""
BACKWARD = 2
"""A backward pass costs about two forward passes."""


COSTED_STEPS = 500
"""MACs are counted on about this many steps of a long training, and scaled."""


class Rehearsal:
    """Plans, openings and splits of a recipe in order, with a view whose gradients are all equal.

    ``billed`` is exact but for splits, whose axis depends on real gradients. Of ``passes`` and ``macs``, ``once``
    and ``once_macs`` are the cost of controllers, which does not grow with the number of steps.
    """

    def __init__(self, recipe: Recipe, family: Family, seed: int = 0, *, external: bool = False) -> None:
        self._recipe, self._family, self._seed = recipe, family, seed
        self.steps, self.step, self.turn = recipe.steps, 0, 0
        self._stride = max(1, recipe.steps // COSTED_STEPS)
        self.space = recipe.space.of(family.space())
        self.regions: tuple[Space, ...] = (self.space,)
        self.teacher = self._external = external
        self.passes = self.forwards = self.once = 0
        self.macs = self.once_macs = 0.0
        self._controlling = False

    @property
    def billed(self) -> float:
        """Forward-backward passes of subnets, a forward alone being a third."""
        return self.passes + self.forwards / 3

    def gradients(
        self,
        shard: int,  # noqa: ARG002 (as in View)
        arch: Arch,
        draw: int,  # noqa: ARG002
        split: str = "train",  # noqa: ARG002
        moved: Mapping[str, Tensor] | None = None,  # noqa: ARG002
    ) -> dict[str, Tensor]:
        """Ones; a pass is billed."""
        self._bill(arch, forward_only=False)
        return {"w": torch.ones(2)}

    def masks(self, arch: Arch) -> dict[str, Tensor]:  # noqa: ARG002
        """Ones."""
        return {"w": torch.ones(2)}

    def growths(self, channels: int, capacity: int) -> tuple[Growth, ...]:
        """As of the network at the start."""
        return self._family.growths(channels, capacity)

    def expansion(self, grow: Grow | None, examples: int, damping: float) -> Score:  # noqa: ARG002 (nothing is scored)
        """Equal scores, so that nothing grows; passes are billed as by a training."""
        self._bill(self._family.space().max(), forward_only=True)
        self.forwards += score_passes(examples, self._recipe.batch_size) - 1
        return Score(0.0, 1)

    def _bill(self, arch: Arch, *, forward_only: bool) -> None:
        if self._controlling:
            self.once += 1
            self.once_macs += self._macs(arch, forward_only)
            self.macs += self._macs(arch, forward_only)
        elif self.step % self._stride == 0:
            self.macs += self._macs(arch, forward_only) * min(self._stride, self.steps - self.step)
        if forward_only:
            self.forwards += 1
        else:
            self.passes += 1

    def _macs(self, arch: Arch, forward_only: bool) -> float:
        macs = float(self._family.costs(self._family.space().encode([arch]))[MACS][0])
        return macs * (1 if forward_only else 1 + BACKWARD) * self._recipe.batch_size

    def _apply(self, event: Event) -> None:
        if isinstance(event, Open):
            self.regions = (within(self.space, event.allowed),)
        elif isinstance(event, SwapTeacher):
            self.teacher = True
        elif isinstance(event, Split):
            parent = self.regions[event.shard]
            children = [narrowed(parent, event.axis, group) for group in event.groups]
            self.regions = (*self.regions[: event.shard], *children, *self.regions[event.shard + 1 :])

    def run(self) -> Rehearsal:
        """Go through all steps."""
        sampler, controllers = self._recipe.make_sampler(), self._recipe.make_controllers()
        for part in (sampler, *controllers):
            part.begin(Setting(self._family, self.steps, self._seed))
        for step in range(self.steps):
            self.step = step
            self._controlling = True
            for controller in controllers:
                for event in controller.observe(self):
                    self._apply(event)
            self._controlling = False
            self.turn = self.step % len(self.regions)
            region = self.regions[self.turn]
            plan = sampler.plan(region, self.step, np.random.default_rng([self._seed, self.step]))
            taught: set[str] = set()
            for item in plan[:1] if region.size() == 1 else plan:
                self._bill(item.arch, forward_only=False)
                for candidate in item.candidates:
                    self._bill(candidate, forward_only=True)
                if item.targets_from == TEACHER and self.teacher:
                    taught.add("" if self._external else self._family.largest_like(item.arch).id)
            for _ in taught:
                self._bill(self._family.space().max(), forward_only=True)
            if any(item.targets_from == AVERAGE for item in plan):
                self._bill(region.max(), forward_only=True)
            rng = np.random.default_rng([self._seed, self.step, 1])
            sampler.observe(self, {}, rng)
        return self


class Stored(Protocol):
    """A data set, or the facts of one that is not loaded."""

    @property
    def stored_bytes(self) -> int | None:
        """Bytes of its stored examples; None where unknown."""
        ...


@dataclass(frozen=True)
class Estimate:
    """Cost of a training; MACs count a backward pass as two forward passes, MB are 10^6 bytes."""

    subnets: float
    steps: int
    passes: int
    billed: float
    macs_per_step: float
    memory_mb: float | None
    networks: int
    seconds: float | None = None

    def as_json(self) -> dict[str, object]:
        """A flat object."""
        return asdict(self)


def estimate(
    recipe: Recipe,
    family: Family,
    data: Stored,
    *,
    seed: int = 0,
    seconds_per_pass: float | None = None,
    external: bool = False,
    at_most: int | None = None,
) -> Estimate:
    """Size of the space, cost, memory and, given the seconds of a mean pass, the time of a training.

    Memory is that of weights, gradients, momentum, averaged and teacher's weights of every network, of the
    stored images, and of what the largest subnet keeps for its backward pass. Of a training of more than
    ``at_most`` steps that number is rehearsed, at the same fractions, and their passes scaled.
    """
    steps = min(recipe.steps, at_most or recipe.steps)
    rehearsal = Rehearsal(recipe.model_copy(update={"steps": steps}), family, seed, external=external).run()
    longer = recipe.steps / steps
    passes = rehearsal.once + (rehearsal.passes - rehearsal.once) * longer
    billed = passes + rehearsal.forwards * longer / 3
    macs = rehearsal.once_macs + (rehearsal.macs - rehearsal.once_macs) * longer
    space = family.space()
    params = float(family.costs(space.encode([space.max()]))[PARAMS][0])
    copies = 3 + (recipe.ema_decay is not None)
    teacher = 1 if rehearsal.teacher else 0
    layers = family.layers(rehearsal.space.max())
    outputs = sum(row.out_elements for row in layers)
    kept = outputs * KEPT_PER_OUTPUT * recipe.batch_size
    images = data.stored_bytes
    floats = params * (copies * len(rehearsal.regions) + teacher) + kept
    return Estimate(
        subnets=float(rehearsal.space.size()),
        steps=recipe.steps,
        passes=round(passes),
        billed=round(billed, 2),
        macs_per_step=macs / recipe.steps,
        memory_mb=None if images is None else (floats * BYTES_PER_ELEMENT + images) / 1e6,
        networks=len(rehearsal.regions),
        seconds=None if seconds_per_pass is None else billed * seconds_per_pass,
    )
