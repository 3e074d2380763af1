"""Report cards as they are stored: figures, the rows behind them, the worst archs, a plot, a learning curve."""

from __future__ import annotations

from typing import Any

import numpy as np

from predictors.curve import enough_rows, learning_curve
from predictors.errors import FitError
from predictors.predictor import Predictor
from predictors.report import Report
from service.artifacts import ArtifactStore

Json = dict[str, Any]
WORST = 5
MOST_POINTS = 300  # of the plot's data; more are thinned, evenly over what was measured


def report_card(model: Predictor, noise_ceiling: float | None, store: ArtifactStore) -> Json:
    """The report of a fitted model on held-out rows of its own; with too few of them ``n`` is 0."""
    if not model.rows:
        return {
            "n": 0,
            "calibrated": False,
            "note": f"uncalibrated: with fewer than {model.fewest_rows} evaluated subnets nothing here says how "
            "far it errs; its intervals are so wide that they promise next to nothing",
        }
    try:
        report = model.report(noise_ceiling=noise_ceiling)
    except FitError as error:
        return {"n": 0, "calibrated": True, "note": f"no rows could be held out: {error}"}
    archs, y = model.data
    curve = learning_curve(model.fresh, model.fewest_rows, archs, y, model.seed)
    definition = model.scope.definition
    png = report.plot(f"{definition.name} ({definition.unit})")
    return {
        **report.as_json(),
        "calibrated": True,
        "points": _points(report),
        "worst": _worst(model, report),
        "learning_curve": [step.as_json() for step in curve],
        "enough_rows": enough_rows(curve),
        "plot": {"sha256": store.put(png), "bytes": len(png)},
    }


def _points(report: Report) -> list[Json]:
    points: list[Json] = report.as_json(points=True)["points"]
    points.sort(key=lambda point: float(point["measured"]))
    if len(points) <= MOST_POINTS:
        return points
    kept = np.linspace(0, len(points) - 1, MOST_POINTS).round().astype(int)
    return [points[index] for index in kept]


def _worst(model: Predictor, report: Report) -> list[Json]:
    """The archs whose held-out prediction was furthest off, worst first."""
    order = np.argsort(-np.abs(report.errors), kind="stable")[:WORST]
    archs = model.space.decode(model.data[0][order])
    return [
        {
            "arch": arch.as_dict(),
            "measured": float(report.measured[index]),
            "predicted": float(report.predicted[index]),
            "error": float(report.errors[index]),
        }
        for arch, index in zip(archs, order, strict=True)
    ]
