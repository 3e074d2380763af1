"""Select points of a front, each with a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.constraints import Constraint, Values
from search.errors import ProblemError
from search.fronts.front import Scores, normalised
from supernets.metrics import Metric, metric_named

BEND = 1e-9  # minimum distance of a knee below the line through the ends, relative to the front's ranges


def spread(scores: Scores, k: int, first: Iterable[int] = ()) -> list[int]:
    """Up to ``k`` rows of ``scores (n, m)``, spread evenly: ``first``, the best of each column, then the farthest.

    Each further row is the one whose nearest selected row is farthest away, with columns scaled to ``[0, 1]``.
    """
    if k < 0:
        raise ProblemError(f"k must be 0 or more, got {k}", "k")
    n = len(scores)
    if n == 0 or k == 0:
        return []
    unit = normalised(scores)
    chosen = list(dict.fromkeys([*first, *unit.argmin(axis=0).tolist()]))[:k]
    distance = np.full(n, np.inf)
    for row in chosen:
        distance = np.minimum(distance, np.linalg.norm(unit - unit[row], axis=1))
        distance[row] = -1.0
    for _ in range(min(k, n) - len(chosen)):
        row = int(distance.argmax())
        chosen.append(row)
        distance = np.minimum(distance, np.linalg.norm(unit - unit[row], axis=1))
        distance[row] = -1.0
    return chosen


@dataclass(frozen=True, slots=True)
class Picked:
    """A row of the front, and the reason why it was selected."""

    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class Picks:
    """The selected points; if there are none, ``note`` is the reason."""

    points: tuple[Picked, ...]
    note: str | None = None


def pick(
    values: Mapping[str, Values],
    objectives: Sequence[str],
    how: str,
    k: int | None = None,
    limits: Iterable[Constraint] = (),
    by: str | None = None,
) -> Picks:
    """Points of a front by one of ``PICKS``: up to ``k``, fewer if the front or the limits leave fewer.

    ``values`` maps each metric to its real values ``(n,)`` in its unit; ``objectives`` are in order of
    importance. Only rows that meet the ``limits`` (their targets are ignored) and have a value for every
    objective are selected. ``knee`` is the point farthest below the line or plane through the ends, further
    ones are spread around it. ``best`` is the best of the first objective. ``buckets`` divides the range of the
    metric ``by`` (by default an objective that is a cost) evenly and selects the best of each part.
    ``spread`` selects the ends and the points farthest from the others. Ties are broken by the next objective,
    then by row.
    """
    if how not in PICKS:
        raise ProblemError(f"a pick must be one of {', '.join(PICKS)}, got {how!r}", "pick")
    choose, usual = PICKS[how]
    requested = usual if k is None else k
    if isinstance(requested, bool) or requested < 1:
        raise ProblemError(f"k must be at least 1, got {requested!r}", "k")
    table = _Table(values, [metric_named(name) for name in objectives], tuple(limits))
    if not len(table.rows):
        return Picks((), table.why_none())
    return Picks(tuple(choose(table, requested, by)))


class _Table:
    """The rows that may be selected, best first objective first, and those excluded only by the limits."""

    def __init__(
        self, values: Mapping[str, Values], objectives: Sequence[Metric], limits: tuple[Constraint, ...]
    ) -> None:
        if not objectives:
            raise ProblemError("picking needs at least one objective, got none", "objectives")
        self.values = {name: np.asarray(column, dtype=np.float64) for name, column in values.items()}
        self.objectives, self.limits = list(objectives), limits
        columns = [metric.sign * self._column(metric.name) for metric in objectives]
        self._scores = np.stack(columns, axis=1)
        usable = np.asarray(np.isfinite(self._scores).all(axis=1))
        fitting = fits(self.values, limits, len(usable))
        self.total = len(usable)
        self.rows = self._ordered(np.flatnonzero(usable & fitting))
        self.excluded = self._ordered(np.flatnonzero(usable & ~fitting))
        self.scores = self._scores[self.rows]

    def _column(self, name: str) -> Values:
        if name not in self.values:
            raise ProblemError(f"values of {name!r} are needed, got those of {sorted(self.values)}", "values")
        return self.values[name]

    def _ordered(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return rows[np.lexsort(self._scores[rows].T[::-1])] if len(rows) else rows

    def value(self, metric: Metric | str, row: int) -> float:
        """In the metric's own unit."""
        return float(self._column(metric if isinstance(metric, str) else metric.name)[row])

    def apart(self, metric: Metric, a: int, b: int) -> str:
        """The difference of two rows in a metric, as text."""
        return amount(metric, abs(self.value(metric, a) - self.value(metric, b)))

    def of_how_many(self) -> str:
        """``7 points with latency_ms <= 18``."""
        points = "1 point" if len(self.rows) == 1 else f"{len(self.rows)} points"
        return f"{points} with {' and '.join(_limits(self.limits))}" if self.limits else f"all {points}"

    def why_none(self) -> str:
        """Why there are no rows to select from."""
        if self.total == 0:
            return "the front is empty: no subnet met the limits of its search"
        if not len(self.excluded):
            names = " and ".join(metric.name for metric in self.objectives)
            return f"no point of the front has a value of {names}"
        words = []
        for limit in self.limits:
            known = self.values.get(limit.metric, np.zeros(0))
            known = known[np.isfinite(known)]
            for side, text in zip(_sides(limit), _limits([limit]), strict=True):
                best = (known.min() if side == "max" else known.max()) if len(known) else None
                found = "no value" if best is None else number(float(best))
                words.append(f"{text} (best of {self.total}: {found})")
        return f"no point of the front meets {' and '.join(words)}"


def fits(values: Mapping[str, Values], limits: Iterable[Constraint], n: int) -> NDArray[np.bool_]:
    """Which rows ``(n,)`` meet every limit by their real ``values``; an unknown value never does."""
    mask = np.ones(n, dtype=bool)
    for limit in limits:
        known = np.asarray(values.get(limit.metric, np.full(n, np.nan)), dtype=np.float64)
        mask &= np.isfinite(known)
        mask[mask] &= limit.excess(known[mask]) <= 0
    return mask


# --- the ways to pick ------------------------------------------------------------------------------


def _best(table: _Table, k: int, by: str | None) -> list[Picked]:  # noqa: ARG001
    metric, rows = table.objectives[0], table.rows
    picked = []
    for place, row in enumerate(rows[:k].tolist()):
        value = number(table.value(metric, row))
        if place == 0:
            reason = f"{_extreme(metric)} ({value}) of {table.of_how_many()}{_tie(table, row)}"
            picked.append(Picked(row, reason + _next_better(table, row)))
        else:
            behind = table.apart(metric, row, int(rows[0]))
            picked.append(Picked(row, f"{_nth(place + 1)} {_extreme(metric)} ({value}): {behind} behind"))
    return picked


def _tie(table: _Table, row: int) -> str:
    first = table.objectives[0]
    equal = sum(table.value(first, int(other)) == table.value(first, row) for other in table.rows)
    if equal == 1 or len(table.objectives) == 1:
        return ""
    return f", and of the {equal} with it the {_extreme(table.objectives[1])}"


def _next_better(table: _Table, row: int) -> str:
    """The value that the next better point excluded by the limits would need."""
    if not table.limits:
        return ""
    first = table.objectives[0]
    better = [
        other
        for other in table.excluded.tolist()
        if first.sign * table.value(first, other) < first.sign * table.value(first, row)
    ]
    if not better:
        return "; no point outside the limits is better"

    def excess(other: int) -> float:
        known = np.array([table.value(limit.metric, other) for limit in table.limits])
        rows = zip(table.limits, known, strict=True)
        total = sum(float(limit.excess(np.array([value]))[0]) for limit, value in rows)
        return total if np.isfinite(total) else np.inf

    nearest = min(better, key=excess)
    needs = [
        f"{limit.metric} {number(table.value(limit.metric, nearest))}"
        for limit in table.limits
        if not limit.excess(np.array([table.value(limit.metric, nearest)]))[0] <= 0
    ]
    return f"; the next better ({number(table.value(first, nearest))}) needs {' and '.join(needs)}"


def _knee(table: _Table, k: int, by: str | None) -> list[Picked]:  # noqa: ARG001
    sums = normalised(table.scores).sum(axis=1)
    at = int(sums.argmin())  # rows are ordered, so ties go to the best by the objectives in turn
    knee = Picked(int(table.rows[at]), _knee_reason(table, at, float(sums[at])))
    return [knee, *_spread_rows(table, k, [at])[1:]] if k > 1 else [knee]


def _knee_reason(table: _Table, at: int, total: float) -> str:
    first, row = table.objectives[0], int(table.rows[at])
    if len(table.rows) == 1:
        return f"the only one of {table.of_how_many()}"
    if len(table.objectives) > 1 and total < BEND:
        return f"{' and '.join(map(_extreme, table.objectives))} of {table.of_how_many()}"
    if len(table.objectives) == 1:
        return f"{_extreme(first)} ({number(table.value(first, row))}): with one objective there is no bend"
    if len(table.objectives) > 2:
        losses = [
            f"{table.apart(metric, row, _end(table, column))} from the {_extreme(metric)}"
            for column, metric in enumerate(table.objectives)
        ]
        return f"knee: of {table.of_how_many()} it gives up least in all, {', '.join(losses)}"
    if total > 1 - BEND:
        return (
            f"the front has no bend, no point lies below the line through its ends; this is the end "
            f"with the {_extreme(first)}"
        )
    second = table.objectives[1]
    better, cheaper = _end(table, 0), _end(table, 1)
    spend = "a further" if second.direction == "min" else "giving up a further"
    buys, bought = ("buys", "bought") if first.direction == "max" else ("saves", "saved")
    return (
        f"knee: past it {spend} {table.apart(second, row, better)} {buys} only "
        f"{table.apart(first, row, better)}, before it {table.apart(second, row, cheaper)} {bought} "
        f"{table.apart(first, row, cheaper)}"
    )


def _end(table: _Table, column: int) -> int:
    return int(table.rows[table.scores[:, column].argmin()])


def _buckets(table: _Table, k: int, by: str | None) -> list[Picked]:
    metric = _bucket_metric(table, by)
    known = np.array([table.value(metric, row) for row in table.rows.tolist()])
    kept = np.flatnonzero(np.isfinite(known))
    if not len(kept):
        return []
    low, high = float(known[kept].min()), float(known[kept].max())
    edges = np.linspace(low, high, k + 1) if high > low else np.array([low, high])
    parts = len(edges) - 1
    number_of = np.clip(np.searchsorted(edges, known, side="left") - 1, 0, parts - 1)
    first, picked = table.objectives[0], []
    for part in range(parts):
        inside = [index for index in kept.tolist() if number_of[index] == part]
        if not inside:
            continue  # no point of the front has this cost
        row = int(table.rows[inside[0]])
        points = "the only point" if len(inside) == 1 else f"of {len(inside)} points"
        between = f"{metric.name} from {number(edges[part])} to {number(edges[part + 1])}"
        best = f"{_extreme(first)} ({number(table.value(first, row))})"
        text = f"{points} with {between}" if len(inside) == 1 else f"{best} {points} with {between}"
        picked.append(Picked(row, f"{text} (bucket {part + 1} of {parts})"))
    return picked


def _bucket_metric(table: _Table, by: str | None) -> Metric:
    first, others = table.objectives[0], table.objectives[1:]
    if by is not None:
        choices = sorted(set(table.values) - {first.name})
        if by not in choices:
            raise ProblemError(
                f"buckets divide another metric than the first objective, one of {choices}, got {by!r}", "by"
            )
        return metric_named(by)
    costs = [metric for metric in others if metric.direction == "min"] or others
    costs = costs or [metric_named(limit.metric) for limit in table.limits if limit.metric != first.name]
    if not costs:
        raise ProblemError(
            f"buckets need a metric to divide; with {first.name!r} alone give 'by', got none", "by"
        )
    return costs[0]


def _spread(table: _Table, k: int, by: str | None) -> list[Picked]:  # noqa: ARG001
    return _spread_rows(table, k, [])


def _spread_rows(table: _Table, k: int, first: list[int]) -> list[Picked]:
    ends = table.scores.argmin(axis=0).tolist()
    picked: list[Picked] = []
    unit = normalised(table.scores)
    before: list[int] = []
    for at in spread(table.scores, k, first):
        names = [_extreme(m) for m, end in zip(table.objectives, ends, strict=True) if end == at]
        if names:
            reason = f"the {' and '.join(names)} of {table.of_how_many()}"
        else:
            near = min(before, key=lambda other: float(np.linalg.norm(unit[at] - unit[other])), default=at)
            gaps = [table.apart(m, int(table.rows[at]), int(table.rows[near])) for m in table.objectives]
            reason = f"farthest from those picked before: the nearest differs by {' and '.join(gaps)}"
        picked.append(Picked(int(table.rows[at]), reason))
        before.append(at)
    return picked


PICKS: dict[str, tuple[Callable[[_Table, int, str | None], list[Picked]], int]] = {
    "knee": (_knee, 1),
    "best": (_best, 1),
    "buckets": (_buckets, 4),
    "spread": (_spread, 4),
}
"""Ways to pick, and the default number of points of each."""


# --- words -----------------------------------------------------------------------------------------


def number(value: float) -> str:
    """Four significant digits, thousands grouped."""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def amount(metric: Metric, value: float) -> str:
    """``0.01 ms``, ``0.002 accuracy``, ``12,000 macs``."""
    word = metric.name if metric.unit in ("fraction", "count") else metric.unit
    return f"{number(value)} {word}"


def _extreme(metric: Metric) -> str:
    return f"{'highest' if metric.direction == 'max' else 'lowest'} {metric.name}"


def _nth(n: int) -> str:
    ending = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"


def _sides(limit: Constraint) -> list[str]:
    return [side for side in ("min", "max") if getattr(limit, side) is not None]


def _limits(limits: Iterable[Constraint]) -> list[str]:
    return [
        f"{limit.metric} {'>=' if side == 'min' else '<='} {number(getattr(limit, side))}"
        for limit in limits
        for side in _sides(limit)
    ]
