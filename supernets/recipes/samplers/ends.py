"""One subnet a step, and more often the largest and the smallest one than a uniform draw gives them."""

from __future__ import annotations

import numpy as np

from supernets.errors import RecipeError
from supernets.recipes.parts import TEACHER, Item, Sampler
from supernets.recipes.samplers.draws import check_shares, draw
from supernets.spaces.space import Space


class EndsSampler(Sampler):
    """The largest subnet in a share ``largest`` of the steps, the smallest in ``smallest``, else a random one.

    Random ones are drawn as the sampler ``instatune`` draws them (``between``, ``alike``). All learn from labels, and
    with ``teacher`` from a frozen teacher too.
    """

    def __init__(
        self,
        largest: float = 0.25,
        smallest: float = 0.0,
        between: float = 0.0,
        alike: float = 0.0,
        teacher: bool = False,
    ) -> None:
        check_shares(largest=largest, smallest=smallest, between=between, alike=alike)
        if largest + smallest > 1:
            raise RecipeError(f"largest + smallest must be at most 1, got {largest} + {smallest}")
        self._largest, self._smallest = largest, smallest
        self._between, self._alike = between, alike
        self._targets = TEACHER if teacher else None
        self.needs = frozenset({TEACHER}) if teacher else frozenset()

    def plan(
        self,
        space: Space,
        step: int,  # noqa: ARG002 (other samplers follow the step)
        rng: np.random.Generator,
    ) -> tuple[Item, ...]:
        """``max``, ``min`` or ``random1``, regularised; ``max`` where the space is one subnet."""
        turn = rng.random()
        if turn < self._largest or space.size() == 1:
            arch, role = space.max(), "max"
        elif turn < self._largest + self._smallest:
            arch, role = space.min(), "min"
        else:
            (arch,) = space.decode(draw(space, rng, 1, self._between, self._alike))
            role = "random1"
        return (Item(arch, role, targets_from=self._targets, regularise=True),)
