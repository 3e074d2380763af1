"""InstaTune (Nittur Sridhar et al., 2023): a supernet is made while a pretrained network is fine-tuned."""

from __future__ import annotations

import bisect
from collections.abc import Sequence

import numpy as np

from supernets.errors import RecipeError
from supernets.recipes.parts import TEACHER, Item, Sampler, Setting
from supernets.recipes.samplers.draws import check_shares, draw
from supernets.spaces.space import Space

MOST = 64


class InstatuneSampler(Sampler):
    """The super-network and ``random`` random subnets a step, and the smallest one where ``smallest``.

    ``gamma`` is 0 (subnets learn from the super-network, which learns from labels), 1 (all of them learn from a
    frozen teacher, which was fine-tuned on the task), or a list of ``[start, gamma]``, start being a fraction of all
    steps. Everything learns from labels too: see the loss ``instatune``.

    Of the random subnets, a share ``between`` has a depth between the ends, which are trained in every step. A share
    ``alike`` makes one choice for each kind of axis, so that all its layers have the same heads and neurons: hardly any
    independent draw does.
    """

    def __init__(
        self,
        random: int = 1,
        smallest: bool = False,
        gamma: int | Sequence[Sequence[float]] = 0,
        between: float = 0.0,
        alike: float = 0.0,
    ) -> None:
        check_shares(between=between, alike=alike)
        if not isinstance(random, int) or not 0 <= random <= MOST:
            raise RecipeError(f"instatune takes 0 to {MOST} random subnets a step, got {random!r}")
        pairs = [[0.0, gamma]] if isinstance(gamma, int | float) else [list(pair) for pair in gamma]
        starts = [pair[0] for pair in pairs if len(pair) == 2]
        if (
            len(starts) != len(pairs)
            or not starts
            or starts[0] != 0
            or starts != sorted(set(starts))
            or starts[-1] >= 1
            or any(pair[1] not in (0, 1) for pair in pairs)
        ):
            raise RecipeError(
                f"gamma must be 0, 1, or [start, 0 or 1] pairs from start 0 ascending below 1, got {gamma!r}"
            )
        self._random, self._smallest = random, smallest
        self._between, self._alike = between, alike
        self._starts, self._gammas = [float(start) for start in starts], [int(pair[1]) for pair in pairs]
        self.needs = frozenset({TEACHER}) if any(self._gammas) else frozenset()
        self._steps = 1

    def begin(self, setting: Setting) -> None:
        """Learn how many steps the fractions are of."""
        self._steps = setting.steps

    def gamma(self, step: int) -> int:
        """0 or 1: whose outputs a step learns from."""
        return self._gammas[bisect.bisect_right(self._starts, step / self._steps) - 1]

    def plan(self, space: Space, step: int, rng: np.random.Generator) -> tuple[Item, ...]:
        """``max``, ``random1`` …, and ``min`` where asked for; only ``max`` is regularised."""
        taught = self.gamma(step) == 1
        others = TEACHER if taught else "max"
        drawn = space.decode(draw(space, rng, self._random, self._between, self._alike))
        students = [Item(arch, f"random{k}", targets_from=others) for k, arch in enumerate(drawn, start=1)]
        if self._smallest:
            students.append(Item(space.min(), "min", targets_from=others))
        largest = Item(space.max(), "max", targets_from=TEACHER if taught else None, regularise=True)
        return (largest, *students)
