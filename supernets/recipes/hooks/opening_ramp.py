"""Delayed opening's ramp: subnets' effective learning rate rises from 0 (DepS, arXiv:2407.06167)."""

from __future__ import annotations

from supernets.errors import RecipeError
from supernets.recipes.parts import Hook, Item, Moment


class OpeningRamp(Hook):
    """Items that learn from another one weigh ``beta = u · lr(T_w) / lr(t)`` while the ramp lasts, then 1.

    ``start`` is the fraction of all steps at which the space opens, ``length`` that of the ramp;
    ``T_w = start + length`` and ``u`` is the share of the ramp gone by. So ``beta · lr(t)`` rises linearly to
    the schedule's value at ``T_w``. (Scaling a gradient scales the learning rate for plain gradient descent.)
    """

    needs = frozenset({"opening"})
    scales_rate = True

    def __init__(self, start: float = 0.5, length: float = 0.02) -> None:
        if not 0 <= start < 1 or not 0 < length <= 1 - start:
            raise RecipeError(f"0 <= start < 1 and 0 < length <= 1 - start must hold, got {start}, {length}")
        self._start, self._length = start, length

    def weight(self, item: Item, moment: Moment) -> float:
        """1 for items that learn from labels, ``beta`` for the others."""
        if item.targets_from is None:
            return 1.0
        first = round(self._start * moment.steps)
        length = max(1, round(self._length * moment.steps))
        if moment.step >= first + length:
            return 1.0
        gone = max(0, moment.step - first) / length
        return gone * moment.rate(first + length) / moment.rate(moment.step)
