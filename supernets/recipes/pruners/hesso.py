"""HESSO (Chen et al., 2024, arXiv:2409.09085): units shrink to zero on a linear ramp, in periods, with no setting of a
penalty."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from supernets.elastic.criteria import hesso_scores
from supernets.errors import RecipeError
from supernets.recipes.parts import Setting
from supernets.recipes.pruners.pruner import Change, Moment, Pruner, lowest, mask_in, scaled, sums_of, zeroed


class Hesso(Pruner):
    """At the start of each of ``periods`` all units are scored; those with the lowest scores, as many as reach the goal
    in equal parts, shrink by ``(T - t - 1) / (T - t)`` after each of the ``T`` steps of the period.
    """

    def __init__(
        self,
        sparsity: float | None = None,
        keep: Mapping[str, float] | None = None,
        start: float = 0.1,
        end: float = 0.7,
        periods: int = 10,
        agreeing_goes: bool = True,
    ) -> None:
        super().__init__(sparsity, keep, start, end)
        if periods < 1:
            raise RecipeError(f"periods must be at least 1, got {periods}")
        self.periods, self.agreeing_goes = periods, agreeing_goes
        self.length = 1
        self.redundant: Tensor | None = None

    def begin(self, setting: Setting) -> None:
        """See :class:`Pruner`."""
        super().begin(setting)
        self._divide()

    def _divide(self) -> None:
        self.periods = min(self.periods, self.last - self.first)
        self.length = (self.last - self.first) // self.periods

    def state(self) -> dict[str, object]:
        """See :class:`Part`."""
        own = {} if self.redundant is None else {"redundant": self.redundant}
        return super().state() | own

    def restore(self, state: Mapping[str, object]) -> None:
        """See :class:`Part`."""
        super().restore(state)
        self.redundant = mask_in(state, "redundant")

    def scores(self, moment: Moment) -> Tensor:
        """What units are worth at this step."""
        sums = sums_of(moment.units, moment.weights, moment.slopes)
        return hesso_scores(sums, agreeing_goes=self.agreeing_goes)

    def before(self, moment: Moment) -> Change | None:
        """Chooses what goes in the period that starts here."""
        period, place = divmod(moment.step - self.first, self.length)
        if place == 0 and 0 <= period < self.periods:
            scores = self.scores(moment)
            if self.zero is None:
                self.zero = torch.zeros(len(scores), dtype=torch.bool)
            gone = int(self.zero.sum())
            more = int(self.goal(moment.units, scores, self.zero).sum()) - gone
            count = gone + round(more / (self.periods - period))
            self.redundant = lowest(moment.units, scores, count, self.zero) & ~self.zero
        return None

    def after(self, moment: Moment) -> Change | None:
        """Shrinks what goes, and keeps at zero what is gone."""
        if self.zero is None or self.redundant is None:
            return None
        period, place = divmod(moment.step - self.first, self.length)
        if period < self.periods and place == self.length - 1:
            self.zero = self.zero | self.redundant
            self.redundant = torch.zeros_like(self.redundant)
        left = self.length - place
        share = torch.where(self.redundant, (left - 1) / left, 1.0).double()
        values = scaled(moment.weights, moment.units.factors(share))
        return Change(zeroed(moment.units, {**moment.weights, **values}, self.zero))
