"""The sandwich rule (Yu & Huang, 2019; BigNAS, Yu et al., 2020, arXiv:2003.11142)."""

from __future__ import annotations

import numpy as np

from supernets.errors import RecipeError
from supernets.recipes.parts import Item, Sampler
from supernets.spaces.space import Space


class SandwichSampler(Sampler):
    """The largest subnet on the labels, then random ones and the smallest on its soft labels."""

    def __init__(self, random: int = 2) -> None:
        if not isinstance(random, int) or not 0 <= random <= 64:
            raise RecipeError(f"sandwich takes 0 to 64 random subnets a step, got {random!r}")
        self._random = random

    def plan(
        self,
        space: Space,
        step: int,  # noqa: ARG002 (other samplers follow the step)
        rng: np.random.Generator,
    ) -> tuple[Item, ...]:
        """``max``, ``random1`` …, ``min``; only ``max`` is regularised."""
        drawn = space.decode(space.sample(rng, self._random))
        students = [Item(arch, f"random{k}", targets_from="max") for k, arch in enumerate(drawn, start=1)]
        return (
            Item(space.max(), "max", regularise=True),
            *students,
            Item(space.min(), "min", targets_from="max"),
        )
