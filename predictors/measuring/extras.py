"""Metrics that are measured besides latency: one line each, and the metric's line in ``supernets.metrics``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from predictors.measuring import energy, footprint
from predictors.measuring.protocol import Extra
from predictors.measuring.runtime import Session
from supernets.metrics import ENERGY, LATENCY, PEAK_MEMORY


@dataclass(frozen=True, slots=True)
class Meter:
    """Whether this machine can measure a metric, and how; no value where a measurement fails to give one."""

    available: Callable[[], bool]
    measure: Callable[[Path, Session], Extra | None]


METERS: dict[str, Meter] = {
    PEAK_MEMORY: Meter(footprint.available, footprint.peak_memory),
    ENERGY: Meter(energy.available, energy.energy),
}


def measurable() -> list[str]:
    """The metrics that this machine can measure, latency first."""
    return [LATENCY, *(name for name, meter in METERS.items() if meter.available())]
