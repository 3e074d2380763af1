"""Pictures of a front and of how it grew; they need matplotlib (``pip install 'netwright[plot]'``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from netwright.client.fronts import Front, Point
from netwright.client.searches import Comparison, Search
from netwright.errors import NetwrightError
from netwright.metric_names import ACCURACY, LATENCY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS, LINES = "os^Dv<>p", ("-", "--", "-.", ":")
"""Of the first front, the second, …; they begin again where there are more fronts."""
LIMIT = "#b3261e"
"""The colour of limits."""


def plot_front(
    front: Front,
    path: Path,
    *,
    limit_ms: float | None = None,
    pick: Point | None = None,
    quality: str = ACCURACY,
) -> Path:
    """Save measured latency against quality on test as a PNG; bars are standard errors, a star is the pick."""
    figure = _figure((7, 4.5))
    axes = figure.add_subplot()
    points = sorted(front, key=lambda point: point.value(LATENCY) or 0.0)
    x, dx, y, dy = _coordinates(points)
    axes.errorbar(
        x, y, xerr=dx, yerr=dy, fmt="o", ms=5, lw=1, capsize=2, color="#1f5fa8", label="front, on test images"
    )
    # Chosen by validation, which only rises along the front; the test value was not used for choosing and may fall.
    chosen = [point.validation.value for point in points if point.validation and point.quality]
    if len(chosen) == len(x):
        axes.plot(
            *(x, chosen),
            color="#1f5fa8",
            label="on validation, which chose",
            drawstyle="steps-post",
            marker="o",
            mfc="none",
            ms=4,
            lw=1,
            alpha=0.5,
        )
    if limit_ms is not None:
        axes.axvline(limit_ms, ls="--", lw=1.2, color=LIMIT, label=f"limit: <= {limit_ms:g} ms")
    if pick is not None:
        star_x, _, star_y, _ = _coordinates([pick])
        axes.plot(star_x, star_y, "*", ms=16, mec="black", color="#f2b705", label="downloaded", zorder=5)
    axes.set_xlabel("latency [ms], reference-corrected")
    axes.set_ylabel(quality)
    axes.grid(alpha=0.25)
    figure.legend(loc="outside lower center", ncols=4, fontsize="small", frameon=False)
    figure.savefig(path, dpi=130)
    return path


def _coordinates(points: Sequence[Point]) -> tuple[list[float], list[float], list[float], list[float]]:
    x, dx, y, dy = [], [], [], []
    for point in points:
        measured = next((row for row in point.measured if row.metric == LATENCY), None)
        if measured is None or point.quality is None:
            continue
        x.append(measured.value)
        dx.append(measured.spread or 0.0)
        y.append(point.quality.value)
        dy.append(point.quality.standard_error)
    return x, dx, y, dy


class Bound(NamedTuple):
    """One side of a limit: ``<=`` or ``>=`` a value of a metric, on a target where only that one is limited."""

    metric: str
    side: str
    value: float
    target: str | None = None


def plot_fronts(fronts: Mapping[str, Front], path: Path, bounds: Sequence[Bound] = ()) -> Path:
    """Save the picture of fronts as a PNG, see :func:`fronts_figure`."""
    return _save(fronts_figure(fronts, bounds), path)


def fronts_figure(fronts: Mapping[str, Front], bounds: Sequence[Bound] = ()) -> Figure:
    """Fronts: the second objective against the first, by true values; a colour a front and target.

    Bounds on one of the two are broken lines.
    """
    series: dict[str, list[Drawn]] = {}
    x_name, y_name = LATENCY, ACCURACY
    for label, front in fronts.items():
        y_name, x_name = (*front.objectives, LATENCY)[:2] if front.objectives else (y_name, x_name)
        names = front.target_names()
        for point in front:
            x, y = point.value(x_name, point.target), point.value(y_name, point.target)
            if x is not None and y is not None:
                of = f"{label} on {names.get(point.target, point.target)}" if point.target else label
                series.setdefault(of, []).append(Drawn(x, y))
    return _overlay(series, x_name, y_name, bounds)


def plot_comparison(comparison: Comparison, path: Path) -> Path:
    """Save the fronts of a comparison as a PNG: the second objective against the first; new points are stars."""
    return _save(comparison_figure(comparison), path)


def comparison_figure(comparison: Comparison) -> Figure:
    """The picture of a comparison: a colour a front, stars for subnets that are not on the first one."""
    y_name, x_name = (*comparison.objectives, comparison.objectives[0])[:2]
    series = {
        f"{front.search}, hypervolume {front.hypervolume:.4g}": [
            Drawn(point.values[x_name], point.values[y_name], point.new) for point in front.points
        ]
        for front in comparison.fronts
    }
    return _overlay(series, x_name, y_name)


class Drawn(NamedTuple):
    """A point of a picture; ``new``: drawn as a star."""

    x: float
    y: float
    new: bool = False


def _overlay(
    series: Mapping[str, Sequence[Drawn]], x_name: str, y_name: str, bounds: Sequence[Bound] = ()
) -> Figure:
    if not any(series.values()):
        raise NetwrightError("there is nothing to plot: no point has a value of both objectives")
    figure = _figure((7, 4.5))
    axes = figure.add_subplot()
    for number, (label, points) in enumerate(series.items()):
        _draw(axes, number, label, sorted(points))
    if any(row.new for points in series.values() for row in points):
        axes.plot([], [], "*", ms=12, color="none", mec="black", label="new: not on the first front")
    for bound in bounds:
        if bound.metric in (x_name, y_name):
            on = f"{bound.metric} on {bound.target}" if bound.target else bound.metric
            draw = axes.axvline if bound.metric == x_name else axes.axhline
            draw(bound.value, ls="--", lw=1.2, color=LIMIT, label=f"limit: {on} {bound.side} {bound.value:g}")
    axes.set_xlabel(x_name)
    axes.set_ylabel(y_name)
    axes.grid(alpha=0.25)
    figure.legend(loc="outside lower center", ncols=1, fontsize="small", frameon=False)
    return figure


def _draw(axes: Axes, number: int, label: str, points: Sequence[Drawn]) -> None:
    """One front; hollow markers and broken lines, so that equal points of several fronts stay visible."""
    color, marker, line = f"C{number % 10}", MARKERS[number % len(MARKERS)], LINES[number % len(LINES)]
    known, new = [point for point in points if not point.new], [point for point in points if point.new]
    x, y = [point.x for point in points], [point.y for point in points]
    axes.plot(x, y, color=color, ls=line, lw=1.2, drawstyle="steps-post")
    x, y = [point.x for point in known], [point.y for point in known]
    axes.plot(x, y, color=color, ls="", marker=marker, ms=7, mfc="none")
    x, y = [point.x for point in new], [point.y for point in new]
    axes.plot(x, y, color=color, ls="", marker="*", ms=12, mec="black", mew=0.5)
    axes.plot([], [], color=color, ls=line, lw=1.2, marker=marker, ms=7, mfc="none", label=label)


def _save(figure: Figure, path: Path) -> Path:
    try:
        figure.savefig(path, dpi=130)
    except (OSError, ValueError) as error:
        raise NetwrightError(f"the picture cannot be saved as {path}: {error}") from error
    return path


def plot_history(search: Search, path: Path) -> Path:
    """Save how the hypervolume of a search grew, against evaluations and against seconds, as a PNG."""
    if not search.history:
        raise NetwrightError(f"search {search.id} has no history yet: there is an entry after every round")
    figure = _figure((9, 3.6))
    left, right = figure.subplots(1, 2, sharey=True)
    for target in dict.fromkeys(row.target for row in search.history):
        rows = [row for row in search.history if row.target == target]
        volumes, label = [row.hypervolume for row in rows], target or "shared front"
        left.plot([row.evaluations for row in rows], volumes, "o-", ms=4, lw=1.2, label=label)
        right.plot([row.seconds for row in rows], volumes, "o-", ms=4, lw=1.2, label=label)
    for axes, what in ((left, "evaluations"), (right, "seconds")):
        axes.set_xlabel(what)
        axes.grid(alpha=0.25)
    left.set_ylabel("hypervolume")
    left.legend(fontsize="small", frameon=False)
    figure.savefig(path, dpi=130)
    return path


def _figure(inches: tuple[float, float]) -> Figure:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise NetwrightError("a plot needs matplotlib: pip install 'netwright[plot]'") from error
    figure = Figure(figsize=inches, layout="constrained")
    FigureCanvasAgg(figure)
    return figure
