"""Pictures of a training."""

from __future__ import annotations

import io
from typing import Any

from matplotlib.figure import Figure


def plot_curve(rows: list[dict[str, Any]], title: str) -> bytes:
    """PNG of loss by role and validation accuracy of the ends against steps, from the rows of ``metrics.jsonl``."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    steps = [row["step"] for row in rows]  # roles come and go where the space opens in stages
    for role in dict.fromkeys(role for row in rows for role in row["losses"]):
        left.plot(steps, [row["losses"].get(role, float("nan")) for row in rows], label=role, linewidth=1)
    left.set(xlabel="step", ylabel="loss", title=f"{title}: loss")
    left.legend(frameon=False)
    known = [row for row in rows if row["accuracy"]]
    for end in ("smallest", "largest"):
        right.plot([r["step"] for r in known], [r["accuracy"][end] for r in known], marker=".", label=end)
    right.set(xlabel="step", ylabel="validation accuracy", title=f"{title}: accuracy")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
