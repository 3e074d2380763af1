"""The shorthand for limits that the client and the command line understand; the API knows the long form only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netwright.errors import NetwrightError

Constraints = Mapping[str, float] | Sequence[Mapping[str, Any]]

LOWER_IS_BETTER = frozenset(
    {"latency_ms", "energy_mj", "peak_memory_mb", "params", "macs", "activation_mb", "size_mb", "perplexity"}
)
HIGHER_IS_BETTER = frozenset({"accuracy"})


def as_constraints(constraints: Constraints, *, quality: str = "accuracy") -> list[dict[str, Any]]:
    """The API's list of ``{metric, max | min}``.

    ``{"latency_ms": 20}`` is a limit in the metric's good direction; ``max_…`` and ``min_…`` say it in words;
    ``{"latency_ms@pi": 20}`` is one on that target only.
    ``quality`` is the supernet's own metric.
    """
    if not isinstance(constraints, Mapping):
        return [dict(constraint) for constraint in constraints]
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for name, limit in constraints.items():
        short, _, target = name.partition("@")
        side, metric = _side(short, quality)
        row = {"metric": metric, **({"target": target} if target else {})}
        rows.setdefault((metric, target), row)[side] = limit
    return list(rows.values())


def parse_limit(text: str, *, quality: str = "accuracy") -> dict[str, Any]:
    """One limit as people type it: ``latency_ms=20``, ``accuracy>=0.9``, or of one target ``latency_ms@pi<=20``."""
    for sign, side in (("<=", "max"), (">=", "min"), ("=", "")):
        name, found, value = text.partition(sign)
        if not found:
            continue
        try:
            limit = float(value)
        except ValueError:
            break
        metric, at, target = (part.strip() for part in name.partition("@"))
        if at and not target:
            break
        if not side:
            side, metric = _side(metric, quality)
        return {"metric": metric, side: limit, **({"target": target} if at else {})}
    raise NetwrightError(
        "a limit must look like latency_ms=20, macs<=5e6, accuracy>=0.9, or of one target latency_ms@NAME=20, "
        f"got {text!r}"
    )


def _side(name: str, quality: str) -> tuple[str, str]:
    for side in ("max", "min"):
        if name.startswith(f"{side}_"):
            return side, name.removeprefix(f"{side}_")
    if name in LOWER_IS_BETTER:
        return "max", name
    if name in HIGHER_IS_BETTER:
        return "min", name
    known = ", ".join(sorted(LOWER_IS_BETTER | HIGHER_IS_BETTER))
    hint = f"max_{name} or min_{name}"
    of_quality = f" ({quality!r} is this supernet's quality)" if name == quality else ""
    raise NetwrightError(f"which way {name!r} is good is not known{of_quality}: write {hint}; known: {known}")
