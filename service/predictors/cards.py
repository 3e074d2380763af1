"""Report cards as they are stored: figures, the rows behind them, the worst archs, a plot, a learning curve."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictors.curve import enough_rows, learning_curve
from predictors.errors import FitError
from predictors.predictor import Predictor
from predictors.report import Report, score
from service.artifacts import ArtifactStore
from supernets.spaces.space import Population

Json = dict[str, Any]
WORST = 5
ALL_HELD_OUT = 2000  # rows
HELD_OUT, CURVE_ROWS = 500, 1000  # of more rows: those held out, those of the learning curve
OnProgress = Callable[[float, str], None]
MOST_POINTS = 300  # of the plot's data; more are thinned, evenly over what was measured


def report_card(
    model: Predictor,
    noise_ceiling: float | None,
    store: ArtifactStore,
    on_progress: OnProgress = lambda *_: None,
) -> Json:
    """The report of a fitted model on held-out rows of its own; with too few of them ``n`` is 0.

    Every row is held out once, by ten models. Of more than ``ALL_HELD_OUT`` rows only some are, by one model:
    these are enough to estimate its errors, and ten fits of thousands of rows would take hours. ``on_progress`` is
    called with a share of the work and what is being done.
    """
    if not model.rows:
        return {
            "n": 0,
            "calibrated": False,
            "note": f"uncalibrated: with fewer than {model.fewest_rows} evaluated subnets nothing here shows how "
            "far it errs; its intervals are so wide that they promise next to nothing",
        }
    on_progress(0.0, "predicting held-out rows")
    try:
        report, archs = _held_out(model, noise_ceiling)
    except FitError as error:
        return {"n": 0, "calibrated": True, "note": f"no rows could be held out: {error}"}
    on_progress(0.5, "drawing the learning curve")
    curve = learning_curve(model.fresh, model.fewest_rows, *_some(model, CURVE_ROWS), model.seed)
    definition = model.scope.definition
    png = report.plot(f"{definition.name} ({definition.unit})")
    return {
        **report.as_json(),
        "calibrated": True,
        "points": _points(report),
        "worst": _worst(model, report, archs),
        "learning_curve": [step.as_json() for step in curve],
        "enough_rows": enough_rows(curve),
        "plot": {"sha256": store.put(png), "bytes": len(png)},
    }


def _held_out(model: Predictor, noise_ceiling: float | None) -> tuple[Report, Population]:
    """Held-out rows as they were predicted, and their archs in the same order."""
    archs, y = model.data
    if len(y) <= ALL_HELD_OUT:
        return model.report(noise_ceiling=noise_ceiling), archs
    order = np.random.default_rng(model.seed).permutation(len(y))
    test, rest = order[:HELD_OUT], order[HELD_OUT:]
    other = model.fresh()
    other.fit(archs[rest], y[rest])
    return score(other, archs[test], y[test], noise_ceiling), archs[test]


def _some(model: Predictor, most: int) -> tuple[Population, NDArray[np.float64]]:
    """At most this many of a model's rows, drawn by its seed."""
    archs, y = model.data
    kept = np.sort(np.random.default_rng(model.seed).permutation(len(y))[:most])
    return archs[kept], y[kept]


def _points(report: Report) -> list[Json]:
    points: list[Json] = report.as_json(points=True)["points"]
    points.sort(key=lambda point: float(point["measured"]))
    if len(points) <= MOST_POINTS:
        return points
    kept = np.linspace(0, len(points) - 1, MOST_POINTS).round().astype(int)
    return [points[index] for index in kept]


def _worst(model: Predictor, report: Report, held_out: Population) -> list[Json]:
    """The archs whose held-out prediction was furthest off, worst first."""
    order = np.argsort(-np.abs(report.errors), kind="stable")[:WORST]
    archs = model.space.decode(held_out[order])
    return [
        {
            "arch": arch.as_dict(),
            "measured": float(report.measured[index]),
            "predicted": float(report.predicted[index]),
            "error": float(report.errors[index]),
        }
        for arch, index in zip(archs, order, strict=True)
    ]
