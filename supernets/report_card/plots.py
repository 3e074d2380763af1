"""Pictures of a training."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from supernets.metrics import LATENCY

FEW_ROWS = 20
"""Up to this many rows are drawn with a point each: a role that is logged once has no line."""


def plot_curve(rows: list[dict[str, Any]], title: str, metric: str) -> bytes:
    """PNG of the rows of ``metrics.jsonl`` against steps: loss by role, validation quality of both ends.

    A dotted line marks the start of a further stage.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    label = metric.replace("_", " ")
    steps = _counted_on(rows)
    # roles come and go where the space opens later
    for role in dict.fromkeys(role for row in rows for role in row["losses"]):
        values = [row["losses"].get(role, float("nan")) for row in rows]
        left.plot(steps, values, label=role, linewidth=1, marker="." if len(rows) <= FEW_ROWS else None)
    left.set(xlabel="step", ylabel="loss", title=f"{title}: loss")
    left.legend(frameon=False)
    known = [(step, row["quality"]) for step, row in zip(steps, rows, strict=True) if row["quality"]]
    for end in ("smallest", "largest"):
        right.plot([step for step, _ in known], [ends[end] for _, ends in known], marker=".", label=end)
    right.set(xlabel="step", ylabel=f"validation {label}", title=f"{title}: {label}")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 2.5, 5, 10]))
        axes.spines[["top", "right"]].set_visible(False)
        for start in sorted({step - row["step"] for step, row in zip(steps, rows, strict=True)} - {0}):
            axes.axvline(start, color="grey", linestyle=":", linewidth=1)
    return _png(figure)


def plot_front(front: Mapping[str, Any], title: str, metric: str) -> bytes:
    """PNG of validation quality ± standard error against latency, from the ``front`` of a report card."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    best = [point for point in front["points"] if point["on_front"]]
    rest = [point for point in front["points"] if not point["on_front"]]
    for points, label, colour, marker in (
        (rest, "behind it", "grey", "."),
        (best, "on the front", "C0", "o"),
    ):
        axes.errorbar(
            [point[LATENCY] for point in points],
            [point["value"] for point in points],
            yerr=[point["standard_error"] for point in points],
            label=label,
            color=colour,
            marker=marker,
            linestyle="none",
            elinewidth=1,
        )
    axes.plot(
        [p[LATENCY] for p in best],
        [p["value"] for p in best],
        color="C0",
        linewidth=1,
        drawstyle="steps-post",
    )
    axes.set(
        xlabel="latency in ms",
        ylabel=f"validation {metric.replace('_', ' ')}",
        title=f"{title} on {front['device']}",
    )
    axes.legend(frameon=False, loc="lower right")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return _png(figure)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _counted_on(rows: list[dict[str, Any]]) -> list[int]:
    """Steps counted on over the stages, each of which counts its own from 0."""
    before, counted = 0, []
    for earlier, row in zip([None, *rows], rows, strict=False):
        if earlier is not None and row["stage"] > earlier["stage"]:
            before += earlier["step"]
        counted.append(before + row["step"])
    return counted
