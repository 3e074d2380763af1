"""Parts that remove units (channels, heads) while the largest network trains, and what they share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from supernets.elastic.criteria import UnitSums
from supernets.errors import RecipeError
from supernets.recipes.parts import Part, Setting
from supernets.spaces.cost import Cost
from supernets.spaces.space import Population


class Units(Protocol):
    """Units that can be removed: channels that go together, whole heads. All axes are one list of units.

    Attributes:
        sizes: units of each axis, in the order of the list.
        steps: kept units of each axis are a multiple of it.
    """

    sizes: tuple[int, ...]
    steps: tuple[int, ...]

    def sums(self, entries: Mapping[str, Tensor]) -> Tensor:
        """Sums of tensors like the parameters over the entries that make each unit, ``(units,) float64``."""
        ...

    def factors(self, values: Tensor, *, reading: bool = False) -> dict[str, Tensor]:
        """By parameter name, the value of the unit that an entry makes (``reading``: or reads), one elsewhere."""
        ...

    def cost(self, metric: str, kept: list[int]) -> float:
        """A metric in closed form with this many units of each axis."""
        ...

    def between(self, kept: list[int]) -> tuple[Population, NDArray[np.float64]]:
        """Archs ``(n, d)`` between which this many units of each axis lie, and their weights ``(n,)``, sum 1."""
        ...


class Moment(Protocol):
    """A training between the backward pass of a step and its update, or after the update.

    Attributes:
        step: number of the step, from 0.
        steps: of the training.
        rate: learning rate of the step.
        units: what can be removed.
        weights: parameters by name; not to be changed.
        slopes: their gradients in this step.
    """

    step: int
    steps: int
    rate: float
    units: Units
    weights: Mapping[str, Tensor]
    slopes: Mapping[str, Tensor]

    def loss(self, values: Mapping[str, Tensor]) -> float:
        """Plain loss of the largest network on the batch of this step with other values of some parameters."""
        ...


@dataclass(frozen=True)
class Change:
    """New values of parameters; ``restart`` clears the optimizer's momentum."""

    values: Mapping[str, Tensor]
    restart: bool = False


class Pruner(Part):
    """Removes units until a number of them is gone; a removed unit has zeros everywhere and stays so.

    Promises: changes are a function of the moment and own state; removed units are never fewer than before;
    at the end exactly :func:`removed_units` are gone.
    """

    def __init__(
        self, sparsity: float | None = None, keep: Mapping[str, float] | None = None, start: float = 0.1,
        end: float = 0.7,
    ) -> None:  # fmt: skip
        if (sparsity is None) == (keep is None):
            raise RecipeError(
                "a pruner takes either sparsity (share of units removed) or keep (metric = share)"
            )
        if sparsity is not None and not 0 < sparsity < 1:
            raise RecipeError(f"sparsity must lie between 0 and 1, got {sparsity}")
        if keep is not None and (len(keep) != 1 or not all(0 < share < 1 for share in keep.values())):
            raise RecipeError(f"keep must be one metric with a share between 0 and 1, got {dict(keep)}")
        if not 0 <= start < end <= 1:
            raise RecipeError(f"start and end must ascend between 0 and 1, got {start} and {end}")
        self.sparsity, self.keep, self.start, self.end = sparsity, keep, start, end
        self.first = self.last = 0
        self.zero: Tensor | None = None
        """Which units are gone, ``(units,) bool``; None before the first is."""
        self._predicted: Cost | None = None

    def begin(self, setting: Setting) -> None:
        """Refuse a family without units, and a metric that has neither a closed form nor a predictor."""
        if not setting.family.prunable:
            raise RecipeError(
                f"family {setting.family.name!r} has no units that can be removed; convert a network"
            )
        if self.keep is not None:
            self._find_cost(setting, *next(iter(self.keep.items())))
        self.first = round(self.start * setting.steps)
        self.last = max(self.first + 1, round(self.end * setting.steps))

    def _find_cost(self, setting: Setting, metric: str, share: float) -> None:
        """Refuse an unknown metric, and a share below what is left with every axis at its smallest width."""
        family = setting.family
        if metric not in family.known_costs:
            self._predicted = setting.predicted.get(metric)
            if self._predicted is None:
                also = ", ".join(setting.predicted) or "such as latency_ms with a predictor of it"
                known = ", ".join(family.known_costs)
                raise RecipeError(
                    f"keep must name a metric in closed form ({known}) or one that is predicted ({also}), "
                    f"got {metric!r}"
                )
        space = family.space()
        row = space.encode([space.max()])[0]
        ends = np.stack([np.where([axis.kind == "width" for axis in space.axes], 0, row), row])
        found = family.costs(ends)[metric] if self._predicted is None else self._predicted(ends)
        smallest, largest = found.tolist()
        if smallest > share * largest:
            raise RecipeError(
                f"keep must leave at least what every axis at its smallest width takes, {smallest / largest:.3f} of "
                f"{metric}, got {share}"
            )

    def state(self) -> dict[str, object]:
        """Which units are gone."""
        return {} if self.zero is None else {"zero": self.zero}

    def restore(self, state: Mapping[str, object]) -> None:
        """See :class:`Part`."""
        self.zero = mask_in(state, "zero")

    @abstractmethod
    def before(self, moment: Moment) -> Change | None:
        """After the backward pass, before the update."""

    @abstractmethod
    def after(self, moment: Moment) -> Change | None:
        """After the update."""

    def goal(
        self, units: Units, scores: Tensor, gone: Tensor | None = None, among: Tensor | None = None
    ) -> Tensor:
        """Which units go in the end, ``(units,) bool``: those ``gone`` and then those with the lowest scores.

        ``among``: only these may be chosen; then the goal may be missed.
        """
        n = sum(units.sizes)
        if self.sparsity is not None:
            return lowest(units, scores, int(self.sparsity * n), gone, among)
        low, high = 0, n
        while low < high:  # the fewest units whose absence meets the limit
            middle = (low + high) // 2
            if self.met(units, lowest(units, scores, middle, gone, among)):
                high = middle
            else:
                low = middle + 1
        chosen = lowest(units, scores, low, gone, among)
        if among is None and not self.met(units, chosen):
            raise RecipeError(f"keep {self.keep} cannot be met: every axis keeps its smallest width")
        return chosen

    def met(self, units: Units, gone: Tensor) -> bool:
        """Whether the goal is reached without these units."""
        if self.keep is None:
            return int(gone.sum()) >= int((self.sparsity or 0.0) * len(gone))
        ((metric, share),) = self.keep.items()
        return self._cost(units, metric, kept_units(units, gone)) <= share * self._cost(
            units, metric, list(units.sizes)
        )

    def _cost(self, units: Units, metric: str, kept: list[int]) -> float:
        """In closed form, or predicted: then linear between the archs of the space, which have few widths."""
        if self._predicted is None:
            return units.cost(metric, kept)
        archs, weights = units.between(kept)
        return float(weights @ self._predicted(archs))


def sums_of(units: Units, weights: Mapping[str, Tensor], slopes: Mapping[str, Tensor]) -> UnitSums:
    """Sums over the entries that make each unit."""
    names = list(units.factors(torch.ones(sum(units.sizes))))
    x = {name: weights[name].detach().double().cpu() for name in names}
    g = {name: slopes[name].detach().double().cpu() for name in names}
    return UnitSums(
        units.sums({name: x[name] * g[name] for name in names}),
        units.sums({name: x[name].square() for name in names}),
        units.sums({name: g[name].square() for name in names}),
        units.sums({name: torch.ones_like(x[name]) for name in names}),
    )


def per_axis(units: Units, values: Tensor) -> tuple[Tensor, ...]:
    """Values ``(units,)``, a part for each axis."""
    parts: tuple[Tensor, ...] = torch.split(values, list(units.sizes))
    return parts


def kept_units(units: Units, gone: Tensor) -> list[int]:
    """Units of each axis that stay."""
    return [int((~part).sum()) for part in per_axis(units, gone)]


def mask_in(state: Mapping[str, object], name: str) -> Tensor | None:
    """A mask of units ``(units,) bool`` in a stored state, where it has one."""
    mask = state.get(name)
    return mask.bool() if isinstance(mask, Tensor) else None


def count_in(state: Mapping[str, object], name: str) -> int:
    """A whole number in a stored state; raises ``RecipeError`` where it has none."""
    value = state.get(name)
    if not isinstance(value, int):
        raise RecipeError(f"a stored state must have a whole number {name!r}, got {value!r}")
    return value


def lowest(
    units: Units, scores: Tensor, count: int, gone: Tensor | None = None, among: Tensor | None = None
) -> Tensor:
    """``count`` units with the lowest scores, ``(units,) bool``; those ``gone`` already are among them.

    ``among``: only these may be chosen in addition.

    Of each axis the kept units are rounded up to a multiple of its step, so that fewer than ``count`` may be chosen;
    with steps of 1 it is exactly ``count``. An axis keeps at least one step.
    """
    axis = torch.repeat_interleave(torch.arange(len(units.sizes)), torch.tensor(units.sizes))
    left = [size - step for size, step in zip(units.sizes, units.steps, strict=True)]
    chosen = torch.zeros(len(scores), dtype=torch.bool)
    ranked = scores.clone() if gone is None else scores.masked_fill(gone, -float("inf"))
    for place in torch.argsort(ranked, stable=True).tolist():
        if count == 0:
            break
        allowed = among is None or bool(among[place]) or (gone is not None and bool(gone[place]))
        if allowed and left[int(axis[place])] > 0:
            left[int(axis[place])] -= 1
            chosen[place] = True
            count -= 1
    for part, score, step in zip(per_axis(units, chosen), per_axis(units, ranked), units.steps, strict=True):
        back = -int((~part).sum()) % step
        if back:
            order = torch.argsort(score.masked_fill(~part, -float("inf")), descending=True, stable=True)
            part[order[:back]] = False  # a view of chosen
    return chosen if gone is None else chosen | gone


def zeroed(units: Units, weights: Mapping[str, Tensor], gone: Tensor) -> dict[str, Tensor]:
    """The parameters that hold units, with zeros for those that are gone."""
    return scaled(weights, units.factors((~gone).double(), reading=True))


def scaled(weights: Mapping[str, Tensor], factors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Parameters times factors that broadcast."""
    return {
        name: weights[name].detach() * factor.to(weights[name].device, weights[name].dtype)
        for name, factor in factors.items()
    }
