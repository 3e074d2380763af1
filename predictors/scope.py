"""What a measurement, or a predictor fitted to measurements, belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from predictors.errors import ScopeError
from supernets.metrics import Metric, metric_named


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """One metric of the archs of one supernet, on one target or one data split.

    ``supernet`` is the hash of the weights, ``target`` an id or fingerprint (None for quality), ``data``
    the hash of the split (None for what is measured on a target).
    """

    supernet: str
    space_sha256: str
    metric: str
    target: str | None = None
    data: str | None = None

    def __post_init__(self) -> None:
        metric_named(self.metric)

    @property
    def definition(self) -> Metric:
        """Unit and direction of the metric."""
        return metric_named(self.metric)

    def require(self, requested: Scope) -> None:
        """Raise :class:`ScopeError` with both sides unless this scope is ``requested``."""
        for name, label in (
            ("space_sha256", "space"),
            ("supernet", "supernet"),
            ("metric", "metric"),
            ("target", "target"),
            ("data", "data"),
        ):
            mine, other = getattr(self, name), getattr(requested, name)
            if mine != other:
                raise ScopeError(f"{label} must be the one learned from, {mine!r}, got {other!r}")

    def as_json(self) -> dict[str, object]:
        """What :meth:`from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Scope:
        """The scope that :meth:`as_json` wrote."""
        return cls(**value)
