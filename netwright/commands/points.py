"""A front as tables: one for each target that has a front of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from netwright.client import Client
from netwright.commands.output import number, print_table, stdout, with_error, words
from netwright.resources.fronts import Front, Point

LATENCY = "latency_ms"
COSTS = {"macs": "MACs", "params": "params"}


def target_names(client: Client) -> dict[str, str]:
    """Names of all targets by id."""
    return {target.id: target["name"] for target in client.targets.list()}


def print_front(
    front: Front, to: Console | None = None, *, archs: bool = False, names: Mapping[str, str] | None = None
) -> None:
    """One line a point, fastest first; ``names`` of targets are needed where there are several."""
    owners = list(dict.fromkeys(point["target"] for point in front)) or [None]
    total = front.data["total"]
    title = f"{total} points" if len(front) == total else f"{len(front)} of {total} points"
    if len(owners) > 1:
        (to or stdout()).print(f"{title}, on {len(owners)} targets", markup=False, highlight=False)
    for owner in owners:
        mine = [point for point in front if point["target"] == owner]
        of = f" on {_name(owner, names)}" if owner is not None else ""
        shown = f"{title}{of}" if len(owners) == 1 else f"{len(mine)} points{of}"
        _Table(mine, owner, front.data.get("objectives") or [], names).print(shown, to, archs)
    for point in front:
        if point.reason:
            reason = with_names(point.reason, names)
            (to or stdout()).print(f"{point.id}: {reason}", markup=False, highlight=False, soft_wrap=True)
    if front.data.get("note"):
        note = with_names(front.data["note"], names)
        (to or stdout()).print(note, markup=False, highlight=False, soft_wrap=True)


class _Table:
    """The points of one front; metrics that depend on a target are shown on ``owner``, or on every target."""

    def __init__(
        self,
        points: Sequence[Point],
        owner: str | None,
        objectives: Sequence[str],
        names: Mapping[str, str] | None,
    ) -> None:
        self.points, self.names = points, names
        keys = [(row["metric"], row["target"]) for point in points for row in _known(point)]
        self.targets = [owner] if owner else list(dict.fromkeys(target for _, target in keys))
        metrics = sorted({metric for metric, _ in keys}, key=lambda metric: (metric != LATENCY, metric))
        self.keys = [(m, t) for m in metrics or [LATENCY] for t in self.targets or [None]]
        self.costs = [*COSTS, *(name for name in objectives if name not in COSTS and self._is_cost(name))]

    def _is_cost(self, name: str) -> bool:
        return any(name in point["costs"] for point in self.points)

    def print(self, title: str, to: Console | None, archs: bool) -> None:
        """One line a point."""
        several = len(self.targets) > 1
        columns, rows = [], []
        for metric, target in self.keys:
            of = f" on {_name(target, self.names)}" if several else ""
            columns.append(f"{metric}{of}")
            if metric == LATENCY:
                columns.append(f"verdict{of}")
        columns += ["on test", "on validation"]
        columns += [
            f"predicted latency{f' on {_name(t, self.names)}' if several else ''}" for t in self._on()
        ]
        columns += [COSTS.get(name, name) for name in self.costs]
        columns += ["subnet", *(["arch"] if archs else [])]
        for point in sorted(self.points, key=self._speed):
            rows.append([*self._row(point), *([words(point["arch"])] if archs else [])])
        print_table(columns, rows, title, to)

    def _on(self) -> Sequence[str | None]:
        return self.targets or [None]

    def _speed(self, point: Point) -> float:
        """Its latency on the slowest target: as measured, or as predicted where a table has no row for it."""
        found = []
        for target in self._on():
            row = _find(point["measured"], LATENCY, target) or _find(point["predicted"], LATENCY, target)
            found.append(float(row.get("value", row.get("mean", 0.0))) if row else float("inf"))
        return max(found, default=0.0)

    def _row(self, point: Point) -> list[str]:
        cells: list[str] = []
        for metric, target in self.keys:
            row = _find(point["measured"], metric, target)
            cells.append(with_error(row["value"], row["spread"]) if row else "-")
            if metric == LATENCY:
                cells.append((row["verdict"] or "-") if row else "-")
        test, validation = point["quality"], point["validation"]
        cells.append(with_error(test["value"], test["standard_error"]) if test else "-")
        cells.append(number(validation["value"]) if validation else "-")
        for target in self._on():
            row = _find(point["predicted"], LATENCY, target)
            interval = f" ({number(row['low'])} to {number(row['high'])})" if row else ""
            cells.append(f"{number(row['mean'])}{interval}" if row else "-")
        return [*cells, *(number(point["costs"].get(name, 0)) for name in self.costs), point.id]


def _known(point: Point) -> list[Mapping[str, Any]]:
    """What was measured or predicted of a point on some target."""
    return [row for row in (*point["measured"], *point["predicted"]) if row["target"] is not None]


def _find(rows: Sequence[Mapping[str, Any]], metric: str, target: str | None) -> Mapping[str, Any] | None:
    found = (row for row in rows if row["metric"] == metric and target in (None, row["target"]))
    return next(found, None)


def _name(target: str | None, names: Mapping[str, str] | None) -> str:
    return (names or {}).get(target or "", target or "-")


def with_names(text: str, names: Mapping[str, str] | None) -> str:
    """The server's words, with targets called by their names."""
    for id, name in (names or {}).items():
        text = text.replace(id, name)
    return text
