"""POA (pre-train once for all): the intact network and an elastic one a step, from a shuffled list of sizes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from supernets.errors import RecipeError
from supernets.recipes.losses.poa import GLOBAL, INTACT, role_of
from supernets.recipes.parts import AVERAGE, Item, Sampler
from supernets.recipes.samplers.draws import check_shares
from supernets.spaces.space import Arch, Space

ELASTIC = "elastic"
USUAL = ("width", "depth")
"""Kinds by which sizes differ; a space need not have both."""
MOST_LOCAL = 16
Sizes = tuple[int, ...]
"""A level for each kind of axis by which sizes differ, 0 being the smallest."""


class PoaSampler(Sampler):
    """Two students that see view 1 and learn from the averaged network, which sees view 0.

    The intact one has the weight ``share``, the elastic one the rest. Sizes of the elastic one are the combinations of
    choices of the kinds ``kinds``; each is in a list as often as :func:`counts` says, which is shuffled and used up
    before it starts again. Axes of other kinds are drawn uniformly. The intact network itself is never the elastic one.

    Both also see ``local`` small crops, at the smallest image size of the space; the averaged network does not. A
    student's views have equal weights, which sum to its own.
    """

    needs = frozenset({AVERAGE})

    def __init__(
        self, share: float = 0.8, kinds: Sequence[str] = USUAL, most: float = 3.0, local: int = 0
    ) -> None:
        check_shares(share=share)
        if not 1 <= most <= 64:
            raise RecipeError(f"most must lie in 1 to 64, got {most!r}")
        if isinstance(kinds, str) or len({*map(str, kinds)}) < len(kinds):
            raise RecipeError(f"kinds must be a list of different kinds of axes, got {kinds!r}")
        if not isinstance(local, int) or isinstance(local, bool) or not 0 <= local <= MOST_LOCAL:
            raise RecipeError(f"local must be a whole number from 0 to {MOST_LOCAL}, got {local!r}")
        self.local, self.views = local, GLOBAL + 1 + local
        self._share, self._kinds, self._most = share, tuple(kinds), float(most)
        self._levels: Sizes = ()
        self._left: list[int] = []

    def plan(
        self,
        space: Space,
        step: int,  # noqa: ARG002 (the list is what is left)
        rng: np.random.Generator,
    ) -> tuple[Item, ...]:
        """``intact`` and ``elastic`` on each view; the intact one is regularised."""
        students = ((INTACT, space.max(), self._share), (ELASTIC, self._next(space, rng), 1 - self._share))
        return tuple(
            Item(
                arch if view == GLOBAL else smallest_image(space, arch),
                role_of(name, view),
                share / (1 + self.local),
                targets_from=AVERAGE,
                regularise=name == INTACT,
                view=view,
            )
            for view in range(GLOBAL, self.views)
            for name, arch, share in students
        )

    def _next(self, space: Space, rng: np.random.Generator) -> Arch:
        known = sorted({axis.kind for axis in space.axes})
        if unknown := [kind for kind in self._kinds if kind not in (*USUAL, *known)]:
            raise RecipeError(
                f"kinds must be kinds of axes of the space, got {unknown}; choices: {', '.join(known)}"
            )
        levels = tuple(
            max((len(space.allowed[k]) for k, axis in enumerate(space.axes) if axis.kind == kind), default=1)
            for kind in self._kinds
        )
        others = [
            k
            for k, axis in enumerate(space.axes)
            if axis.kind not in self._kinds and len(space.allowed[k]) > 1
        ]
        number = counts(levels, self._most)
        if not others:
            del number[tuple(level - 1 for level in levels)]
        if not number:
            return space.max()
        sizes = list(number)
        if not self._left or levels != self._levels:
            self._levels = levels
            self._left = rng.permutation(
                np.repeat(np.arange(len(sizes)), [number[each] for each in sizes])
            ).tolist()
        chosen = dict(zip(self._kinds, sizes[self._left.pop()], strict=True))
        most = dict(zip(self._kinds, levels, strict=True))
        row = np.zeros((1, space.d), dtype=np.int64)
        for k, axis in enumerate(space.axes):
            allowed = space.allowed[k]
            if axis.kind in chosen:
                place = chosen[axis.kind] / max(1, most[axis.kind] - 1) * (len(allowed) - 1)
                row[0, k] = allowed[int(place + 0.5)]
            else:
                row[0, k] = allowed[int(rng.integers(len(allowed)))]
        (arch,) = space.decode(space.canonical(row))
        if arch == space.max():
            row[0, others] = [space.allowed[k][0] for k in others]
            (arch,) = space.decode(space.canonical(row))
        return arch

    def state(self) -> dict[str, object]:
        """What is left of the list."""
        return {"levels": list(self._levels), "left": list(self._left)}

    def restore(self, state: Mapping[str, object]) -> None:
        """Continue from :meth:`state`."""
        levels, left = state["levels"], state["left"]
        assert isinstance(levels, list) and isinstance(left, list)
        self._levels, self._left = tuple(levels), list(left)


def smallest_image(space: Space, arch: Arch) -> Arch:
    """``arch`` at the smallest image size of the space; itself where the space has one size or none."""
    (row,) = space.encode([arch])
    for k, axis in enumerate(space.axes):
        if axis.kind == "resolution":
            row[k] = space.allowed[k][0]
    (found,) = space.decode(space.canonical(row[None]))
    return found


def counts(levels: Sizes, most: float) -> dict[Sizes, int]:
    """How often each size is in a list: the rounded product of a number for each kind, from ``most`` down to 1."""
    weights = [
        [most + (1 - most) * level / (number - 1) if number > 1 else 1.0 for level in range(number)]
        for number in levels
    ]
    return {
        size: round(math.prod(weight[level] for weight, level in zip(weights, size, strict=True)))
        for size in itertools.product(*(range(number) for number in levels))
    }
