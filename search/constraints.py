"""Hard constraints on metrics, and by how much they are violated."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.errors import ConstraintError
from supernets.metrics import Metric, metric_named

Key = tuple[str, str | None]
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Constraint:
    """``min <= metric <= max`` on one target (``None`` for metrics that depend on no target).

    Limits are in the metric's unit. The following are errors: an unknown metric, no limit, limits that are not finite
    or outside the metric's bounds, an upper limit at the lower bound, and ``min > max``.
    """

    metric: str
    target: str | None = None
    min: float | None = None
    max: float | None = None

    def __post_init__(self) -> None:
        metric = metric_named(self.metric)
        if self.min is None and self.max is None:
            raise ConstraintError(
                f"a constraint on {self.metric!r} needs min or max, got neither", "constraints"
            )
        for side, limit in (("min", self.min), ("max", self.max)):
            if limit is not None:
                self._check(side, limit, metric)
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ConstraintError(
                f"min <= max must hold for {self.label}, got min {self.min} and max {self.max}", "constraints"
            )

    def _check(self, side: str, limit: float, metric: Metric) -> None:
        if isinstance(limit, bool) or not isinstance(limit, int | float) or not math.isfinite(limit):
            raise ConstraintError(
                f"{side} of {self.label} must be a finite number, got {limit!r}", "constraints"
            )
        low, high = metric.minimum, metric.maximum
        if low is not None and (limit < low or (side == "max" and limit == low)):
            rule = f"{'above' if side == 'max' else 'at least'} {low:g}"
            raise ConstraintError(f"{side} of {self.label} must be {rule}, got {limit!r}", "constraints")
        if high is not None and limit > high:
            raise ConstraintError(
                f"{side} of {self.label} must be at most {high:g}, got {limit!r}", "constraints"
            )

    @property
    def key(self) -> Key:
        """The constrained quantity: ``(metric, target)``."""
        return self.metric, self.target

    @property
    def label(self) -> str:
        """``metric`` or ``metric@target``, for display."""
        return self.metric if self.target is None else f"{self.metric}@{self.target}"

    def excess(self, upper: Values, lower: Values | None = None) -> Values:
        """Relative excess ``(n,)`` over the limits, 0 where they are met.

        ``max`` is compared with ``upper (n,)`` and ``min`` with ``lower (n,)``, which defaults
        to ``upper`` (for a known value instead of a predicted one).
        """
        lower = upper if lower is None else lower
        total = np.zeros(len(upper))
        if self.max is not None:
            total += np.maximum(upper - self.max, 0.0) / self.max
        if self.min is not None:
            total += np.maximum(self.min - lower, 0.0) / (self.min or 1.0)
        return total

    def as_json(self) -> dict[str, object]:
        """Only the fields that are set."""
        fields = {"metric": self.metric, "target": self.target, "min": self.min, "max": self.max}
        return {name: value for name, value in fields.items() if value is not None}


def merged(constraints: Iterable[Constraint]) -> tuple[Constraint, ...]:
    """One constraint for each metric and target, with the tightest limits; contradictory limits are errors."""
    limits: dict[Key, Constraint] = {}
    for constraint in constraints:
        known = limits.get(constraint.key)
        if known is not None:
            lows = [c.min for c in (known, constraint) if c.min is not None]
            highs = [c.max for c in (known, constraint) if c.max is not None]
            constraint = Constraint(*constraint.key, max(lows, default=None), min(highs, default=None))
        limits[constraint.key] = constraint
    return tuple(limits.values())


def violations(constraints: Iterable[Constraint], values: Mapping[Key, Values], n: int) -> Values:
    """Sum of relative excess ``(n,)`` over all constraints, for known values ``(n,)``; 0 is feasible.

    A value that is not finite never meets a limit: its violation is infinite.
    """
    total = np.zeros(n)
    for constraint in constraints:
        value = np.asarray(values[constraint.key], dtype=np.float64)
        total += np.where(np.isfinite(value), constraint.excess(value), np.inf)
    return total
