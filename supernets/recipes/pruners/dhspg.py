"""DHSPG of OTOv2 (Chen et al., 2023, arXiv:2303.06862): a penalty shrinks units, a projection sets them to zero."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from supernets.elastic.criteria import TINY, UnitSums, dhspg_redundancy
from supernets.recipes.pruners.pruner import (
    Change,
    Moment,
    Pruner,
    Units,
    lowest,
    mask_in,
    scaled,
    sums_of,
    zeroed,
)


class Dhspg(Pruner):
    """Once, at ``start``, the most redundant units are penalised: the goal and ``spare`` of all units more.

    After each update a penalised unit ``x`` moves by ``-rate * λ x / ‖x‖`` more. Where it then lies outside the
    half-space ``⟨x', x⟩ >= ε ‖x‖²``, it becomes zero. When the goal is reached nothing is penalised any more; what is
    missing at ``end`` goes at once, the units that have shrunk most first.
    """

    def __init__(
        self,
        sparsity: float | None = None,
        keep: Mapping[str, float] | None = None,
        start: float = 0.1,
        end: float = 0.7,
        penalty: float = 1e-3,
        amplify: float = 2.0,
        most: float = 10.0,
        epsilon: float = 0.95,
        spare: float = 0.05,
    ) -> None:
        super().__init__(sparsity, keep, start, end)
        self.penalty, self.amplify, self.most = penalty, amplify, most
        self.epsilon, self.spare = epsilon, spare
        self.penalised: Tensor | None = None
        self._before: dict[str, Tensor] = {}

    def state(self) -> dict[str, object]:
        """See :class:`Part`."""
        own = {} if self.penalised is None else {"penalised": self.penalised}
        return super().state() | own

    def restore(self, state: Mapping[str, object]) -> None:
        """See :class:`Part`."""
        super().restore(state)
        self.penalised = mask_in(state, "penalised")

    def before(self, moment: Moment) -> Change | None:
        """Chooses at ``start``; remembers the weights of this step."""
        if moment.step == self.first:
            worth = -dhspg_redundancy(sums_of(moment.units, moment.weights, moment.slopes))
            goal = self.goal(moment.units, worth)
            self.zero = torch.zeros_like(goal)
            more = int(goal.sum()) + int(self.spare * len(goal))
            self.penalised = goal | lowest(moment.units, worth, more)
        if self._active(moment):
            names = moment.units.factors(torch.ones(sum(moment.units.sizes)))
            self._before = {name: moment.weights[name].detach().clone() for name in names}
        return None

    def _active(self, moment: Moment) -> bool:
        started = self.zero is not None and moment.step < self.last
        return started and self.zero is not None and not self.met(moment.units, self.zero)

    def after(self, moment: Moment) -> Change | None:
        """Penalises and projects."""
        if self.zero is None or self.penalised is None:
            return None
        units, weights = moment.units, dict(moment.weights)
        if self._before:
            sums = sums_of(units, self._before, moment.slopes)
            live = self.penalised & ~self.zero
            strength = penalties(sums, self.penalty, self.amplify, self.most)
            pull = moment.rate * strength / sums.weights.sqrt().clamp_min(TINY)
            nearer = scaled(self._before, units.factors(1 - torch.where(live, pull, 0.0)))
            weights |= {name: weights[name].detach() + x - self._before[name] for name, x in nearer.items()}
            products = {name: weights[name].double() * x.double() for name, x in self._before.items()}
            inner = units.sums(products)
            ratio = torch.where(live, inner / sums.weights.clamp_min(TINY), float("inf"))
            self._remove(units, ratio, at_once=moment.step >= self.last - 1)
            self._before = {}
        return Change(zeroed(units, weights, self.zero))

    def _remove(self, units: Units, ratio: Tensor, *, at_once: bool) -> None:
        """Units outside their half-space go, up to the goal; the last ones at the end."""
        assert self.zero is not None
        live = torch.isfinite(ratio)
        outside = live if at_once else live & (ratio < self.epsilon)
        self.zero = self.goal(units, ratio, self.zero, outside)


def penalties(sums: UnitSums, penalty: float, amplify: float, most: float) -> Tensor:
    """``λ`` of each unit: larger than ``penalty`` where the gradient step would let the unit grow, ``⟨x, g⟩ < 0``.

    There ``λ_lo = -⟨x, g⟩ / ‖x‖`` is what stops growth, and with more than ``λ_hi = -‖g‖² ‖x‖ / ⟨x, g⟩`` the step
    would no longer descend.
    """
    norm = sums.weights.sqrt().clamp_min(TINY)
    against = (-sums.product).clamp_min(TINY)
    low, high = against / norm, sums.slopes * norm / against
    found = (amplify * low).clamp(penalty, most * penalty)
    found = torch.where(found >= high, (low + high) / 2, found)
    return torch.where(sums.product < 0, found, torch.full_like(found, penalty))
