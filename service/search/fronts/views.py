"""Fronts as the API hands them out: thinned, picked from, as JSON, CSV or parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from search.constraints import Constraint
from search.fronts.noise import within_noise
from search.fronts.pick import fits, spread
from search.fronts.pick import pick as pick_rows
from service.search.request.schemas import FrontPoint
from supernets.metrics import METRICS

MAX_CLOSE = 20
"""The most subnets that a point names as indistinguishable: on a front of thousands it would be thousands."""


def true_value(point: FrontPoint, metric: str, target: str | None = None) -> float:
    """A point's real value of a metric: on validation, measured (worst target), or closed form; NaN if unknown.

    Where a target cannot measure (a table without a row for it), the upper end of the prediction stands for it.
    """
    source = METRICS[metric].source
    if source == "closed_form":
        return point.costs.get(metric, float("nan"))
    if source == "evaluated":
        # Validation chose the front; the test value is for reporting and would choose the lucky ones.
        known = point.validation is not None and point.validation.metric == metric
        return point.validation.value if known and point.validation is not None else float("nan")
    values = {m.target: m.value for m in point.measured if m.metric == metric}
    values = {p.target: p.high for p in point.predicted if p.metric == metric and p.target} | values
    mine = [value for key, value in values.items() if target in (None, key)]
    return max(mine) if mine else float("nan")


def scores(
    points: Sequence[FrontPoint], objectives: Sequence[str], target: str | None = None
) -> NDArray[np.float64]:
    """Minimised true scores ``(n, m)``; on ``target`` where one is named."""
    rows = [
        [METRICS[name].sign * true_value(point, name, target or point.target) for name in objectives]
        for point in points
    ]
    return np.array(rows, dtype=np.float64).reshape(len(points), len(objectives))


def thin(points: list[FrontPoint], objectives: Sequence[str], limit: int) -> list[FrontPoint]:
    """At most ``limit`` points, well spread, in the same order."""
    if len(points) <= limit:
        return points
    return [points[index] for index in sorted(spread(scores(points, objectives), limit))]


def within(
    points: Sequence[FrontPoint], limits: Sequence[Constraint], target: str | None = None
) -> list[FrontPoint]:
    """The points that meet every limit by their true values, in the same order."""
    names = dict.fromkeys(limit.metric for limit in limits)
    mask = fits({name: _values_of(points, name, target) for name in names}, limits, len(points))
    return [point for point, fitting in zip(points, mask, strict=True) if fitting]


def pick(
    points: Sequence[FrontPoint],
    objectives: Sequence[str],
    how: str,
    k: int | None = None,
    *,
    limits: Sequence[Constraint] = (),
    by: str | None = None,
    target: str | None = None,
    apart: bool = True,
) -> tuple[list[FrontPoint], str | None]:
    """Points with their ``reason`` by :func:`search.fronts.pick.pick`; and why there are none.

    Where points belong to fronts of several targets, each of these gives ``k``, unless ``apart`` is false.
    A shared front counts the worst target, or ``target`` where one is named.
    """
    picked: list[FrontPoint] = []
    notes: list[str] = []
    for owner in _owners(points) if apart else [None]:
        mine = [point for point in points if not apart or point.target == owner]
        values = _values(mine, [*objectives, *(limit.metric for limit in limits)], target)
        found = pick_rows(values, objectives, how, k, limits, by)
        of = f"on target {owner}: " if owner is not None else ""
        close = close_to(mine, [each.row for each in found.points])
        picked += [
            mine[each.row].model_copy(
                update={
                    "reason": of + each.reason + _alike(len(subnets)),
                    "within_noise": subnets[:MAX_CLOSE],
                }
            )
            for each, subnets in zip(found.points, close, strict=True)
        ]
        notes += [of + found.note] if found.note is not None else []
    return picked, "; ".join(notes) or None


def _alike(count: int) -> str:
    """What a reason adds where the quality of other points cannot be distinguished."""
    if not count:
        return ""
    others = "the quality of another point is" if count == 1 else f"the qualities of {count} other points are"
    return f"; {others} within its standard error"


def close_to(points: Sequence[FrontPoint], rows: Sequence[int]) -> list[list[str]]:
    """For each of ``rows`` the subnets of the same front whose quality is indistinguishable from its own, in order."""
    values, errors = _qualities(points)
    close = within_noise(values, errors, rows)
    codes = {owner: code for code, owner in enumerate(_owners(points))}
    fronts = np.array([codes[point.target] for point in points], dtype=np.int64)
    close &= fronts[list(rows), None] == fronts[None, :]
    found: list[list[str]] = [[] for _ in rows]
    for place, other in np.argwhere(close).tolist():
        found[place].append(points[other].subnet)
    return found


def with_noise(points: Sequence[FrontPoint]) -> tuple[list[FrontPoint], str | None]:
    """Points that name their ``within_noise`` among these, at most ``MAX_CLOSE`` each; and a note, if there are any."""
    names = close_to(points, range(len(points))) if points else []
    alike = [
        point.model_copy(update={"within_noise": subnets[:MAX_CLOSE]})
        if subnets or point.within_noise
        else point
        for point, subnets in zip(points, names, strict=True)
    ]
    doubtful = sum(bool(subnets) for subnets in names)
    known = [point.validation for point in points if point.validation is not None]
    if not doubtful or not known:
        return alike, None
    return alike, (
        f"{doubtful} of {len(points)} points have another point of the front whose {known[0].metric} differs by less "
        f"than their standard errors (about ±{float(np.nanmedian(_qualities(points)[1])):.2g} on {known[0].n} "
        f"validation examples): more validation examples, or a longer training, would separate them"
    )


def _qualities(points: Sequence[FrontPoint]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Quality on validation and its standard error, each ``(n,)``; NaN where unknown."""
    quality = [point.validation for point in points]
    values = [np.nan if each is None else each.value for each in quality]
    errors = [np.nan if each is None else each.standard_error for each in quality]
    return np.array(values, dtype=float), np.array(errors, dtype=float)


def _owners(points: Sequence[FrontPoint]) -> list[str | None]:
    return list(dict.fromkeys(point.target for point in points)) or [None]


def _values(
    points: Sequence[FrontPoint], metrics: Sequence[str], target: str | None
) -> dict[str, NDArray[np.float64]]:
    closed = [name for name, metric in METRICS.items() if metric.source == "closed_form"]
    return {name: _values_of(points, name, target) for name in dict.fromkeys([*metrics, *closed])}


def _values_of(points: Sequence[FrontPoint], metric: str, target: str | None) -> NDArray[np.float64]:
    return np.array([true_value(point, metric, target or point.target) for point in points], dtype=float)


def flat(point: FrontPoint, names: Mapping[str, str]) -> dict[str, object]:
    """A point as one row of a table; ``names`` of targets by id, for the columns of a front on several targets."""
    row: dict[str, object] = {"subnet": point.subnet, "search": point.search, "feasible": point.feasible}
    if point.target is not None:
        row["target"] = names.get(point.target, point.target)
    if point.reason is not None:
        row["reason"] = point.reason
    if point.quality is not None:
        row |= {
            point.quality.metric: point.quality.value,
            f"{point.quality.metric}_standard_error": point.quality.standard_error,
            f"{point.quality.metric}_n": point.quality.n,
            f"{point.quality.metric}_split": point.quality.split,
        }
    if point.validation is not None:
        row[f"{point.validation.metric}_validation"] = point.validation.value
    several = len({measured.target for measured in point.measured}) > 1
    for measured in point.measured:
        on = names.get(measured.target, measured.target)
        name = f"{measured.metric}@{on}" if several else measured.metric
        row |= {
            name: measured.value,
            f"{name}_spread": measured.spread,
            f"{name}_n": measured.n,
            f"{name}_verdict": measured.verdict,
            f"{name}_raw_p50": measured.raw.get("p50"),
            f"{name}_raw_p90": measured.raw.get("p90"),
        }
    for predicted in point.predicted:
        on = names.get(predicted.target, predicted.target) if predicted.target else ""
        name = f"{predicted.metric}@{on}" if several and on else predicted.metric
        row |= {
            f"{name}_predicted": predicted.mean,
            f"{name}_low": predicted.low,
            f"{name}_high": predicted.high,
            f"{name}_predictor": predicted.version,
        }
    return {**row, **point.costs, "arch": json.dumps(point.arch)}


def as_csv(points: Sequence[FrontPoint], names: Mapping[str, str]) -> bytes:
    """A table with a header line; see :func:`flat`."""
    rows = [flat(point, names) for point in points]
    columns = list(dict.fromkeys(name for row in rows for name in row)) or ["subnet"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def as_parquet(points: Sequence[FrontPoint], names: Mapping[str, str]) -> bytes:
    """The same table as parquet."""
    import pyarrow
    import pyarrow.parquet

    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([flat(point, names) for point in points]), buffer)
    return buffer.getvalue()
