"""Splitting by gradient matching: choices that pull the shared weights apart get weights of their own.

Hu et al., 2022 (arXiv:2203.15207), with a clean maximum cut.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from supernets.errors import RecipeError
from supernets.recipes.parts import Controller, Event, Split, View
from supernets.spaces.coupled import CoupledSpace
from supernets.spaces.space import Arch, Space

MAX_CHOICES = 12


def maximum_cut(distances: NDArray[np.float64]) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], float]:
    """The two groups of ``0..k-1`` with the largest sum of distances between them, and that sum.

    Every division is tried; of equal ones the first counts. ``distances`` is ``(k, k)``, symmetric.
    """
    k = len(distances)
    if not 2 <= k <= MAX_CHOICES:
        raise RecipeError(f"only 2 to {MAX_CHOICES} choices can be cut, got {k}")
    best: tuple[tuple[tuple[int, ...], tuple[int, ...]], float] | None = None
    for size in range(k - 1):
        for others in itertools.combinations(range(1, k), size):
            left = (0, *others)
            right = tuple(choice for choice in range(k) if choice not in left)
            value = float(distances[np.ix_(left, right)].sum())
            if best is None or value > best[1] + 1e-12:
                best = ((left, right), value)
    assert best is not None
    return best


def distances(gradients: Sequence[Mapping[str, Tensor]], shared: Mapping[str, Tensor]) -> NDArray[np.float64]:
    """``1 - cos`` between gradients ``(k, k)``, over the entries where ``shared`` is 1."""
    k = len(gradients)
    products = np.zeros((k, k))
    for name, mask in shared.items():
        rows = [(gradient[name].cpu() * mask).double().flatten() for gradient in gradients]
        for i, j in itertools.combinations_with_replacement(range(k), 2):
            products[i, j] += float(rows[i] @ rows[j])
    products += np.triu(products, 1).T
    norms = np.sqrt(np.maximum(np.diag(products), 1e-300))
    return np.asarray(1 - products / np.outer(norms, norms))


class GradientSplit(Controller):
    """At each fraction ``at`` of all steps every shard splits in two, along the axis with the largest cut.

    The distance of two choices is ``1 - cos`` of the gradients they give the weights that *all* choices of
    the axis use, on the same batch with the same random rest, a mean over ``repeats``. ``axes`` limits how
    many axes (drawn at random) are examined. The children take turns step by step.
    """

    def __init__(
        self,
        at: Sequence[float] = (0.25, 0.5),
        repeats: int = 4,
        kinds: Sequence[str] = ("kernel", "depth", "expand"),
        axes: int | None = None,
    ) -> None:
        fractions = [float(fraction) for fraction in at]
        ordered = fractions == sorted(set(fractions)) and all(0 < fraction < 1 for fraction in fractions)
        if not fractions or not ordered or len(fractions) > 5 or not 1 <= repeats <= 1000:
            raise RecipeError(
                f"gradient_split takes 1 to 5 ascending fractions in (0, 1) and 1 to 1000 repeats, got {at}, {repeats}"
            )
        if not kinds or (axes is not None and axes < 1):
            raise RecipeError(f"kinds must not be empty and axes be at least 1, got {kinds}, {axes}")
        self.first_split = fractions[0]
        self._at, self._repeats, self._kinds, self._axes = fractions, repeats, tuple(kinds), axes

    def observe(self, view: View) -> Sequence[Event]:
        """A split of every shard that still has something to split; the last shard's comes first."""
        if view.step not in {round(fraction * view.steps) for fraction in self._at}:
            return []
        splits = [self._split(view, shard) for shard in range(len(view.regions))]
        return [split for split in reversed(splits) if split is not None]

    def _split(self, view: View, shard: int) -> Split | None:
        region = view.regions[shard]
        rng = np.random.default_rng([view.step, shard, 7])
        tied = region.leaders if isinstance(region, CoupledSpace) else {}
        names = [
            axis.name
            for axis, allowed in zip(region.axes, region.allowed, strict=True)
            if axis.kind in self._kinds and 2 <= len(allowed) <= MAX_CHOICES and axis.name not in tied
        ]
        if self._axes is not None and len(names) > self._axes:
            names = [names[k] for k in sorted(rng.choice(len(names), size=self._axes, replace=False))]
        found: list[tuple[float, Split]] = []
        for name in names:
            allowed = region.allowed[region.column(name)]
            groups, value = maximum_cut(self.matrix(view, shard, name, rng))
            split = Split(shard, name, tuple(tuple(allowed[k] for k in group) for group in groups))
            found.append((value, split))
        return max(found, key=lambda pair: pair[0])[1] if found else None

    def matrix(self, view: View, shard: int, axis: str, rng: np.random.Generator) -> NDArray[np.float64]:
        """Mean distances ``(k, k)`` between the allowed choices of ``axis``."""
        total: NDArray[np.float64] | float = 0.0
        for _ in range(self._repeats):
            archs, draw = variants(view.regions[shard], axis, rng), int(rng.integers(2**31))
            gradients = [view.gradients(shard, arch, draw) for arch in archs]
            masks = [view.masks(arch) for arch in archs]
            shared = {name: _everywhere([mask[name] for mask in masks]) for name in masks[0]}
            total = total + distances(gradients, shared)
        return np.asarray(total) / self._repeats


def _everywhere(masks: Sequence[Tensor]) -> Tensor:
    product = masks[0]
    for mask in masks[1:]:
        product = product * mask
    return product


def variants(region: Space, axis: str, rng: np.random.Generator) -> list[Arch]:
    """One arch for every allowed choice of ``axis``, with the same random rest."""
    column = region.column(axis)
    row = region.sample(rng, 1)
    parent = region.axes[column].parent
    if parent is not None and not region.active(row)[0, column]:
        above = region.column(parent)
        fitting = [
            choice
            for choice in region.allowed[above]
            if region.axes[above].choices[choice] in region.axes[column].active_when
        ]
        row[0, above] = fitting[-1] if fitting else row[0, above]
    rows = np.repeat(row, len(region.allowed[column]), axis=0)
    rows[:, column] = region.allowed[column]
    return region.decode(region.repair(rows))
