"""Trainings and fronts in experiment trackers: TensorBoard, MLflow, Weights & Biases.

A tracker is one file in this folder and one line in :data:`TRACKERS`; its package is imported when it is opened.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, Protocol

from netwright.client.fronts import Front
from netwright.client.jobs import Event
from netwright.errors import NetwrightError

TRACKERS: Mapping[str, str] = {
    "tensorboard": "netwright.trackers.tensorboard:TensorBoard",
    "mlflow": "netwright.trackers.mlflow:MLflow",
    "wandb": "netwright.trackers.wandb:Wandb",
}
PARAMETERS = ("subnet", "target", "feasible", "reason", "arch")
"""Columns of a point that are no numbers."""


class Tracker(Protocol):
    """What an experiment tracker is called with. Constructed with the place of the runs (or None) and a run's name."""

    def parameters(self, values: Mapping[str, object]) -> None:
        """What holds for the whole run."""

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers at a step."""

    def close(self) -> None:
        """End the run; everything is written."""


@contextmanager
def open_tracker(spec: str, name: str) -> Iterator[Tracker]:
    """Open a run called ``name`` of the tracker ``KIND`` or ``KIND:PLACE``, and end it with the ``with`` block.

    ``PLACE`` is the folder of ``tensorboard`` and the tracking URI of ``mlflow``; of ``wandb`` it is the project.

    Raises:
        NetwrightError: no such tracker, or its package is not installed.
    """
    kind, _, place = spec.partition(":")
    if kind not in TRACKERS:
        near = get_close_matches(kind, TRACKERS, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise NetwrightError(f"a tracker must be one of {', '.join(TRACKERS)}, got {kind!r}{hint}")
    module, _, attribute = TRACKERS[kind].partition(":")
    try:
        tracker: Tracker = getattr(importlib.import_module(module), attribute)(place or None, name)
    except ModuleNotFoundError as error:
        raise NetwrightError(
            f"the tracker {kind} needs the package {error.name}: pip install 'netwright[{kind}]'"
        ) from error
    try:
        yield tracker
    finally:
        tracker.close()


def training_values(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a training's progress: ``loss/ROLE``, ``accuracy/largest``, ``lr``, ``passes_per_second``."""
    values = {f"loss/{role}": loss for role, loss in metrics["losses"].items()}
    quality = metrics.get("quality") or {}
    values |= {f"{metrics.get('metric') or 'quality'}/{end}": value for end, value in quality.items()}
    named = {name: metrics.get(name) for name in ("lr", "epoch", "passes_per_second", "billed")}
    return values | {name: value for name, value in named.items() if value is not None}


def log_training(tracker: Tracker, events: Iterable[Event]) -> None:
    """Log the events of a training job, ``job.events()``, until it has ended."""
    for event in events:
        metrics = event.data.get("metrics") if event.type == "progress" else None
        if metrics and metrics.get("losses"):
            tracker.metrics(metrics["step"], training_values(metrics))


def log_front(tracker: Tracker, front: Front) -> None:
    """Log a front: a step for each point, in its order, with measured and predicted values and costs."""
    tracker.parameters({"objectives": ", ".join(front.objectives), "points": len(front)})
    for step, point in enumerate(front):
        row = point.row()
        numbers = {name: value for name, value in row.items() if name not in PARAMETERS}
        tracker.metrics(step, {n: v for n, v in numbers.items() if isinstance(v, int | float)})
        tracker.parameters({f"subnet {step}": point.subnet})
