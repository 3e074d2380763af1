"""Random subnets of which more than by independent draws are between the ends, and the same in every layer."""

from __future__ import annotations

import numpy as np

from supernets.errors import RecipeError
from supernets.spaces.space import Population, Space


def check_shares(**shares: object) -> None:
    """Refuse what is no share from 0 to 1."""
    for name, share in shares.items():
        if not isinstance(share, int | float) or not 0 <= share <= 1:
            raise RecipeError(f"{name} must be a share from 0 to 1, got {share!r}")


def draw(space: Space, rng: np.random.Generator, number: int, between: float, alike: float) -> Population:
    """``number`` random subnets, canonical ``(number, d)``.

    A share ``between`` of them has a depth between the ends. A share ``alike`` makes one choice for each kind of axis,
    so that all its layers have the same heads and neurons: hardly any independent draw does.
    """
    if not between and not alike:
        return space.sample(rng, number)
    drawn = np.empty((number, space.d), dtype=np.int64)
    for row in drawn:
        same = {axis.kind: rng.random() for axis in space.axes} if rng.random() < alike else {}
        inner = rng.random() < between
        for column, axis in enumerate(space.axes):
            choices = space.allowed[column]
            if axis.kind == "depth" and inner and len(choices) > 2:
                choices = choices[1:-1]
            row[column] = choices[int(same.get(axis.kind, rng.random()) * len(choices))]
    return space.canonical(drawn)
