"""A front as tables: one for each target that has a front of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from netwright.client.fronts import Front, Point
from netwright.client.http.models import MeasuredValue, OriginalView, PredictedValue
from netwright.client.resource import counted
from netwright.metric_names import LATENCY, MACS, PARAMS
from netwright.output.printing import Line, Section, Table, number, with_error, words

COSTS = {MACS: "MACs", PARAMS: PARAMS}
Names = Mapping[str, str]
Value = TypeVar("Value", MeasuredValue, PredictedValue)


def front_card(front: Front, names: Names, *, archs: bool = False, noise: bool = True) -> Iterator[Section]:
    """A line a point, fastest first; ``names`` of targets by id; ``noise``: with the note on equal qualities."""
    owners = list(dict.fromkeys(point.target for point in front)) or [None]
    total, count = counted(front.total, "point"), len(front)
    title = total if count == front.total else f"{count} of {total}"
    if len(owners) > 1:
        yield Line(f"{title}, on {counted(len(owners), 'target')}")
    for owner in owners:
        mine = [point for point in front if point.target == owner]
        of = f" on {names.get(owner, owner)}" if owner is not None else ""
        shown = title if len(owners) == 1 else counted(len(mine), "point")
        yield _Columns(mine, owner, front.objectives, names).table(f"{shown}{of}", archs)
    if front.original is not None:
        yield _original(front.original, names)
    if noise and front.noise is not None:
        yield Line(f"note: {front.noise}")
    for point in front:
        if point.reason:
            yield Line(f"{point.id}: {with_names(point.reason, names)}")
    if front.note:
        yield Line(with_names(front.note, names))


def _original(original: OriginalView, names: Names) -> Line:
    """The network as it came: its quality, and its latency on each target where it was measured."""
    test, validation = original.quality, original.validation
    parts = [with_error(test.value, test.standard_error) + " on test"] if test else []
    parts += [number(validation.value) + " on validation"] if validation else []
    parts += [
        f"{with_error(row.value, row.spread)} ms on {names.get(row.target, row.target)}"
        for row in original.measured
        if row.metric == LATENCY
    ]
    if not any(row.metric == LATENCY for row in original.measured):
        parts.append("its latency is not measured: netwright targets measure")
    parts.append(f"{number(original.costs[MACS])} MACs")
    return Line(f"the original: {', '.join(parts)}")


class _Columns:
    """The columns of one front; metrics that depend on a target are of ``owner``, or of every target."""

    def __init__(
        self, points: Sequence[Point], owner: str | None, objectives: Sequence[str], names: Names
    ) -> None:
        self.points, self.names = points, names
        keys = [(row.metric, row.target) for point in points for row in point.measured]
        keys += [(row.metric, row.target) for point in points for row in point.predicted if row.target]
        self.several = owner is None and len({target for _, target in keys}) > 1
        self.targets: list[str | None] = (
            [owner] if owner else list(dict.fromkeys(target for _, target in keys))
        )
        self.targets = self.targets or [None]
        metrics = sorted({metric for metric, _ in keys}, key=lambda metric: (metric != LATENCY, metric))
        self.keys = [(m, t) for m in metrics or [LATENCY] for t in self.targets]
        others = [name for name in objectives if name not in COSTS]
        self.costs = [*COSTS, *(name for name in others if any(name in point.costs for point in points))]

    def table(self, title: str, archs: bool) -> Table:
        """One line a point."""
        columns: list[str] = []
        for metric, target in self.keys:
            columns.append(f"{metric}{self._of(target)}")
            if metric == LATENCY:
                columns.append(f"verdict{self._of(target)}")
        columns += ["on test", "on validation"]
        columns += [f"predicted latency{self._of(target)}" for target in self.targets]
        columns += [*(COSTS.get(name, name) for name in self.costs), "subnet", *(["arch"] if archs else [])]
        rows = [
            [*self._row(point), *([words(point.arch)] if archs else [])]
            for point in sorted(self.points, key=self._latency)
        ]
        return Table(columns, rows, title)

    def _of(self, target: str | None) -> str:
        return f" on {self.names.get(target or '', target)}" if self.several else ""

    def _latency(self, point: Point) -> float:
        """Its latency on the slowest target: as measured, or as predicted where a table has no row for it."""
        found = []
        for target in self.targets:
            measured = _find(point.measured, LATENCY, target)
            predicted = _find(point.predicted, LATENCY, target)
            found.append(measured.value if measured else predicted.mean if predicted else float("inf"))
        return max(found, default=0.0)

    def _row(self, point: Point) -> list[str | None]:
        cells: list[str | None] = []
        for metric, target in self.keys:
            row = _find(point.measured, metric, target)
            cells.append(with_error(row.value, row.spread) if row else None)
            if metric == LATENCY:
                cells.append(row.verdict if row else None)
        test, validation = point.quality, point.validation
        cells.append(with_error(test.value, test.standard_error) if test else None)
        cells.append(number(validation.value) if validation else None)
        for target in self.targets:
            predicted = _find(point.predicted, LATENCY, target)
            cells.append(
                f"{number(predicted.mean)} ({number(predicted.low)} to {number(predicted.high)})"
                if predicted
                else None
            )
        return [*cells, *(number(point.costs.get(name, 0)) for name in self.costs), point.id]


def _find(rows: Sequence[Value], metric: str, target: str | None) -> Value | None:
    found = (row for row in rows if row.metric == metric and target in (None, row.target))
    return next(found, None)


def with_names(text: str, names: Names) -> str:
    """The server's text with targets called by their names."""
    for id, name in names.items():
        text = text.replace(id, name)
    return text
