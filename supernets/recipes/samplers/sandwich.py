"""The sandwich rule (Yu & Huang, 2019; BigNAS, Yu et al., 2020, arXiv:2003.11142)."""

from __future__ import annotations

import numpy as np

from supernets.errors import RecipeError
from supernets.recipes.parts import TEACHER, Item, Sampler
from supernets.spaces.space import Space


class SandwichSampler(Sampler):
    """The largest subnet on the labels, then random ones and the smallest on its soft labels.

    With ``teacher`` all of them learn from a frozen teacher.
    """

    def __init__(self, random: int = 2, teacher: bool = False) -> None:
        if not isinstance(random, int) or not 0 <= random <= 64:
            raise RecipeError(f"sandwich takes 0 to 64 random subnets a step, got {random!r}")
        self._random = random
        self._largest: str | None = TEACHER if teacher else None
        self._others = TEACHER if teacher else "max"
        self.needs = frozenset({TEACHER}) if teacher else frozenset()

    def plan(
        self,
        space: Space,
        step: int,  # noqa: ARG002 (other samplers follow the step)
        rng: np.random.Generator,
    ) -> tuple[Item, ...]:
        """``max``, ``random1`` …, ``min``; only ``max`` is regularised."""
        drawn = space.decode(space.sample(rng, self._random))
        students = [
            Item(arch, f"random{k}", targets_from=self._others) for k, arch in enumerate(drawn, start=1)
        ]
        return (
            Item(space.max(), "max", targets_from=self._largest, regularise=True),
            *students,
            Item(space.min(), "min", targets_from=self._others),
        )
