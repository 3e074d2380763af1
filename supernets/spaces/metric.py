"""The word for a quantity that search and predictors share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from supernets.errors import UnknownNameError

Direction = Literal["min", "max"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A named quantity of a subnet.

    ``source`` says where its value comes from: ``closed_form`` (LayerSpecs alone), ``measured`` (on a
    target), or ``evaluated`` (the supernet's quality on a data split).
    """

    name: str
    unit: str
    direction: Direction
    source: Literal["closed_form", "measured", "evaluated"]

    @property
    def sign(self) -> float:
        """Factor that turns a value into a score to be minimised."""
        return 1.0 if self.direction == "min" else -1.0


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "fraction", "max", "evaluated"),
        Metric("latency_ms", "ms", "min", "measured"),
        Metric("energy_mj", "mJ", "min", "measured"),
        Metric("peak_memory_mb", "MB", "min", "measured"),
        Metric("params", "count", "min", "closed_form"),
        Metric("macs", "count", "min", "closed_form"),
        Metric("activation_mb", "MB", "min", "closed_form"),
        Metric("size_mb", "MB", "min", "closed_form"),
    )
}


def metric(name: str) -> Metric:
    """Return the metric called ``name``; an unknown name lists the choices."""
    if name not in METRICS:
        raise UnknownNameError("metric", name, METRICS)
    return METRICS[name]
