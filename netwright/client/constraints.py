"""The shorthand for limits that the client and the command line understand; the API has the long form only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netwright.client.http.requests import ConstraintBody
from netwright.client.metrics import Directions, Side, check_metric
from netwright.errors import NetwrightError

Constraints = Mapping[str, float] | Sequence[ConstraintBody]
LOOKS = "a limit must look like latency_ms=20, macs<=5e6, accuracy>=0.9, or of one target latency_ms@NAME=20"


def as_constraints(constraints: Constraints, directions: Directions) -> list[ConstraintBody]:
    """The API's list of ``{metric, max | min}``.

    ``{"latency_ms": 20}`` is a limit in the metric's good direction; ``max_…`` and ``min_…`` name the side;
    ``{"latency_ms@pi": 20}`` is one on that target only.
    """
    if not isinstance(constraints, Mapping):
        for row in constraints:
            check_metric(row["metric"], directions)
        return [row.copy() for row in constraints]
    rows: dict[tuple[str, str], ConstraintBody] = {}
    for name, limit in constraints.items():
        short, _, target = name.partition("@")
        side, metric = _side(short, directions)
        row = rows.setdefault((metric, target), _row(metric, target))
        row[side] = limit
    return list(rows.values())


def parse_limit(text: str, directions: Directions) -> ConstraintBody:
    """One limit as people type it: ``latency_ms=20``, ``accuracy>=0.9``, or of one target ``latency_ms@pi<=20``."""
    for sign, fixed in (("<=", "max"), (">=", "min"), ("=", None)):
        name, found, value = text.partition(sign)
        if not found:
            continue
        try:
            limit = float(value)
        except ValueError:
            break
        metric, at, target = (part.strip() for part in name.partition("@"))
        if (at and not target) or not metric:
            break
        side, metric = _side(metric, directions)
        row = _row(metric, target)
        if fixed == "max":
            side = "max"
        elif fixed == "min":
            side = "min"
        row[side] = limit
        return row
    raise NetwrightError(f"{LOOKS}; got {text!r}")


def _row(metric: str, target: str) -> ConstraintBody:
    return {"metric": metric, "target": target} if target else {"metric": metric}


def _side(name: str, directions: Directions) -> tuple[Side, str]:
    """Side and metric of ``latency_ms``, ``max_latency_ms`` or ``min_latency_ms``."""
    if name not in directions:
        if name.startswith("max_"):
            return "max", check_metric(name.removeprefix("max_"), directions)
        if name.startswith("min_"):
            return "min", check_metric(name.removeprefix("min_"), directions)
    return directions[check_metric(name, directions)], name
