"""The progress bar of a training on a server, from the events of its job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netwright.progress import Show
from netwright.resources.events import Event


class TrainingBar:
    """Draws each event: epoch, losses by role, accuracy of the ends, speed, time left.

    What is told seldom, the accuracies, stays in sight.
    """

    def __init__(self, show: Show) -> None:
        self._show = show
        self._quality: dict[str, float] = {}
        self._job: dict[str, Any] = {}

    def __call__(self, event: Event) -> None:
        """Draw what is new."""
        data = event.data
        if event.type == "state":
            self._job["message"] = data.get("state")
        elif event.type == "progress":
            metrics = data.get("metrics") or {}
            told = {name: data.get(name) for name in ("done", "total", "eta_s")}
            if metrics.get("eta_s") is not None:
                told["eta_s"] = metrics["eta_s"]
            self._quality.update(metrics.get("quality") or {})
            message = self._words(metrics) if metrics.get("losses") else data.get("message")
            self._job = {"progress": told, "message": message or self._job.get("message")}
        self._show(self._job)

    def _words(self, metrics: Mapping[str, Any]) -> str:
        parts = [
            f"epoch {metrics['epoch']:.1f}" if metrics.get("epoch") is not None else "",
            "loss " + " ".join(f"{role} {loss:.3f}" for role, loss in metrics["losses"].items()),
            f"{metrics.get('metric', 'quality')} "
            + " ".join(f"{end} {value:.3f}" for end, value in self._quality.items())
            if self._quality
            else "",
            f"{metrics['passes_per_second']:.1f} passes/s" if metrics.get("passes_per_second") else "",
        ]
        return " | ".join(part for part in parts if part)
