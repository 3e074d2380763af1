"""Pictures of a front and of how it grew; they need matplotlib (``pip install 'netwright[plot]'``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from netwright.client.fronts import Front, Point
from netwright.client.searches import Comparison, Search
from netwright.errors import NetwrightError
from netwright.metric_names import ACCURACY, LATENCY

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
        axes.axvline(limit_ms, ls="--", lw=1.2, color="#b3261e", label=f"limit: <= {limit_ms:g} ms")
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


def plot_fronts(fronts: Mapping[str, Front], path: Path) -> Path:
    """Save fronts as a PNG: the second objective against the first, by true values; a colour a front and target."""
    series: dict[str, list[tuple[float, float]]] = {}
    x_name, y_name = LATENCY, ACCURACY
    for label, front in fronts.items():
        y_name, x_name = (*front.objectives, LATENCY)[:2] if front.objectives else (y_name, x_name)
        names = front.target_names()
        for point in front:
            x, y = point.value(x_name, point.target), point.value(y_name, point.target)
            if x is not None and y is not None:
                of = f"{label} on {names.get(point.target, point.target)}" if point.target else label
                series.setdefault(of, []).append((x, y))
    return _overlay(series, x_name, y_name, path)


def plot_comparison(comparison: Comparison, path: Path) -> Path:
    """Save the fronts of a comparison as a PNG: the second objective against the first."""
    y_name, x_name = (*comparison.objectives, comparison.objectives[0])[:2]
    series = {
        f"{front.search}, hypervolume {front.hypervolume:.4g}": [
            (point.values[x_name], point.values[y_name]) for point in front.points
        ]
        for front in comparison.fronts
    }
    return _overlay(series, x_name, y_name, path)


def _overlay(
    series: Mapping[str, Sequence[tuple[float, float]]], x_name: str, y_name: str, path: Path
) -> Path:
    if not any(series.values()):
        raise NetwrightError("there is nothing to plot: no point has a value of both objectives")
    figure = _figure((7, 4.5))
    axes = figure.add_subplot()
    for number, (label, points) in enumerate(series.items()):
        x, y = [x for x, _ in sorted(points)], [y for _, y in sorted(points)]
        size = 4 + 3 * (
            len(series) - 1 - number
        )  # earlier fronts stay visible around equal points of later ones
        axes.plot(x, y, "o-", ms=size, lw=1, alpha=0.8, drawstyle="steps-post", label=label)
    axes.set_xlabel(x_name)
    axes.set_ylabel(y_name)
    axes.grid(alpha=0.25)
    figure.legend(loc="outside lower center", ncols=1, fontsize="small", frameon=False)
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
