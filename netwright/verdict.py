"""The result of the demo: one line and an exit status, from a check of the downloaded file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from netwright.client.fronts import Point
from netwright.client.subnets import Export
from netwright.client.supernets import Supernet
from netwright.client.targets import Target
from netwright.errors import NetwrightError
from netwright.installed import server_packages
from netwright.output.printing import number
from netwright.progress import bar, steps

if TYPE_CHECKING:
    from predictors.measuring.protocol import Timing

CHECK_BATCH = 256
MEASURING_RUNS = 3

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


# --- check a downloaded file -----------------------------------------------------------------------


def check_file(path: Path, supernet: Supernet, target: Target) -> Checked:
    """Run an ONNX file on the test images of its supernet's data set, and measure it on this machine.

    A measurement that is not good is repeated, at most ``MEASURING_RUNS`` times in all.
    """
    with server_packages():
        accuracy, images = _accuracy(path, supernet)
        timing = _measure(path, target)
        for _ in range(MEASURING_RUNS - 1):
            if timing.verdict in ("good", "unsupported"):
                break
            timing = _measure(path, target)
    return Checked(
        accuracy=accuracy,
        images=images,
        latency_ms=timing.latency_ms,
        raw_p50_ms=(timing.raw_ms or {}).get("p50"),
        rounds=timing.rounds,
        verdict=timing.verdict,
        error=timing.error,
    )


def _accuracy(path: Path, supernet: Supernet) -> tuple[float, int]:
    """Share of the test images that a file classifies right, and their number."""
    import onnxruntime

    from supernets.data import open_source, prepare

    test = open_source(supernet.data["name"]).split("test")
    announced = supernet.data["splits"]["test"]["sha256"]
    if test.sha256 != announced:
        raise NetwrightError(f"the test images must have SHA-256 {announced}, got {test.sha256}")
    mean, std = supernet.preprocessing["mean"], supernet.preprocessing["std"]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    image = session.get_inputs()[0]
    right, n = 0, len(test)
    for start in range(0, n, CHECK_BATCH):
        batch = slice(start, start + CHECK_BATCH)
        ready = prepare(test.stored[batch], image.shape[2], mean, std)
        scores = session.run(None, {image.name: ready.numpy()})[0]
        right += int((scores.argmax(axis=1) == test.labels[batch].numpy()).sum())
    return right / n, n


def _measure(path: Path, target: Target) -> Timing:
    """A fresh measurement of the file, on the scale of the target's own calibration."""
    from predictors import TARGETS
    from predictors.measuring.protocol import Calibration

    stored = target.calibrations or {}
    calibrations = {name: Calibration(**entry) for name, entry in stored.items()}
    kind = TARGETS.load(target.kind)
    here = kind(kind.settings_type(**target.settings), calibrations)
    with bar("measuring") as show:
        timing: Timing = here.run({"subnet": path}, progress=steps(show)).timings[0]
        return timing
