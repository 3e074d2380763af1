"""The result of the demo: one line and an exit status, from a check of the downloaded file."""

from __future__ import annotations

import math
from dataclasses import dataclass

from netwright.client.fronts import Point
from netwright.client.subnets import Export
from netwright.commands.output import number

OVER_LIMIT = 1.10
DIFFERING_IMAGES = 1  # float rounding may flip one image between torch and ONNX Runtime
TRUSTED = "good"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Accuracy and latency of the downloaded file itself.

    ``latency_ms`` is reference-corrected, None where it could not be measured; ``raw_p50_ms`` is not corrected.
    """

    accuracy: float
    images: int
    latency_ms: float | None
    raw_p50_ms: float | None
    rounds: int
    verdict: str
    error: str | None = None

    @property
    def standard_error(self) -> float:
        """Of the accuracy, binomial."""
        return math.sqrt(max(self.accuracy * (1 - self.accuracy), 0.0) / self.images)


def final_line(limit_ms: float, pick: Point, export: Export, checked: Checked) -> tuple[str, int]:
    """One line for people, and the exit status: 0 met (or not verifiable for noise), 1 not met."""
    problems = [
        *_latency_problems(limit_ms, checked),
        *_accuracy_problems(pick, checked),
        *_parity_problems(export),
    ]
    noise = (
        [] if checked.verdict in (TRUSTED, "unsupported") else [f"not verified: noise ({checked.verdict})"]
    )
    measured = "-" if checked.latency_ms is None else number(checked.latency_ms)
    raw = "-" if checked.raw_p50_ms is None else number(checked.raw_p50_ms)
    parity = (export.parity or {}).get("max_error")
    line = (
        f"limit latency_ms <= {number(limit_ms)}, measured {measured} "
        f"(reference-corrected; raw p50 {raw}, n={checked.rounds}), "
        f"accuracy {checked.accuracy:.3f} ± {checked.standard_error:.3f} on {checked.images} test images, "
        f"parity {'-' if parity is None else f'{parity:.0e}'}"
    )
    return "; ".join([line, *noise, *problems]), 1 if problems else 0


def _latency_problems(limit_ms: float, checked: Checked) -> list[str]:
    if checked.verdict == "unsupported":
        return [f"FAILED: the file cannot be run: {checked.error}"]
    if (
        checked.verdict != TRUSTED
        or checked.latency_ms is None
        or checked.latency_ms <= OVER_LIMIT * limit_ms
    ):
        return []
    return [f"FAILED: {checked.latency_ms / limit_ms - 1:.0%} over the limit"]


def _accuracy_problems(pick: Point, checked: Checked) -> list[str]:
    promised = pick.quality
    if promised is None or promised.n != checked.images:
        return ["FAILED: the front has no accuracy on these test images"]
    differing = round(abs(promised.value - checked.accuracy) * checked.images)
    if differing <= DIFFERING_IMAGES:
        return []
    return [f"FAILED: the front promised accuracy {promised.value:.4f}, the file has {checked.accuracy:.4f}"]


def _parity_problems(export: Export) -> list[str]:
    parity = export.parity or {}
    error, tolerance = parity.get("max_error"), parity.get("tolerance")
    if error is not None and tolerance is not None and error <= tolerance:
        return []
    return [f"FAILED: parity must be within {tolerance}, got {error}"]
