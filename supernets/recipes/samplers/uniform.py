"""Uniform sampling: the baseline, and once-for-all's way within the open region (Cai et al., 2020)."""

from __future__ import annotations

import bisect
from collections.abc import Sequence

import numpy as np

from supernets.errors import RecipeError
from supernets.recipes.parts import TEACHER, Item, Sampler, Setting
from supernets.spaces.space import Space


class UniformSampler(Sampler):
    """``subnets`` archs a step, every axis uniform and independent, from labels (and a teacher).

    ``subnets`` is a number or a list of ``[start, number]``, start being a fraction of all steps. Kinds
    named by ``shared`` (``resolution``) are drawn once a step, for all its archs.
    """

    def __init__(
        self, subnets: int | Sequence[Sequence[float]] = 1, teacher: bool = False, shared: Sequence[str] = ()
    ) -> None:
        pairs = [(0.0, subnets)] if isinstance(subnets, int) else [tuple(pair) for pair in subnets]
        starts = [float(pair[0]) for pair in pairs]
        numbers = [pair[1] for pair in pairs if len(pair) == 2]
        if (
            len(numbers) != len(pairs)
            or not starts
            or starts[0] != 0
            or starts != sorted(set(starts))
            or any(int(n) != n or not 1 <= n <= 64 for n in numbers)
        ):
            raise RecipeError(
                f"subnets must be 1 to 64, or [start, number] pairs from start 0 ascending, got {subnets!r}"
            )
        self._starts, self._numbers = starts, [int(n) for n in numbers]
        self._targets, self._shared = TEACHER if teacher else None, tuple(shared)
        self.needs = frozenset({TEACHER}) if teacher else frozenset()
        self._steps = 1

    def begin(self, setting: Setting) -> None:
        """Learn how many steps the fractions are of."""
        self._steps = setting.steps

    def plan(self, space: Space, step: int, rng: np.random.Generator) -> tuple[Item, ...]:
        """``random1`` …, all regularised."""
        number = self._numbers[bisect.bisect_right(self._starts, step / self._steps) - 1]
        drawn = space.sample(rng, number)
        for column, axis in enumerate(space.axes):
            if axis.kind in self._shared and axis.parent is None:
                drawn[:, column] = drawn[0, column]
        archs = space.decode(space.canonical(drawn))
        return tuple(
            Item(arch, f"random{k}", targets_from=self._targets, regularise=True)
            for k, arch in enumerate(archs, start=1)
        )
