"""Progress of a running training: lines in ``metrics.jsonl``, and more frequent calls of ``on_progress``."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from supernets.training.steps.schedule import learning_rate
from supernets.training.steps.state import METRICS_FILE
from supernets.training.steps.training import Training

REPORT_EVERY_S = 1.0


@dataclass(frozen=True)
class Progress:
    """Where a training stands; ``losses`` by role, ``quality`` of ``smallest`` and ``largest`` on validation.

    ``metric`` names the quality; ``quality`` is empty where it was not evaluated since the last report.

    ``passes`` counts forward-backwards of subnets, ``billed`` adds a third for each forward alone;
    ``region`` is the number of subnets open in all ``shards``. ``stage`` counts the recipes in a row, ``epoch``
    how often all training images were gone through.
    """

    step: int
    steps: int
    passes: int
    lr: float
    losses: dict[str, float]
    metric: str
    quality: dict[str, float]
    seconds: float
    passes_per_second: float
    eta_s: float
    billed: float = 0.0
    region: float = 0.0
    shards: int = 1
    stage: int = 1
    epoch: float = 0.0

    def words(self) -> str:
        """Losses, quality if it is new, learning rate and speed, for a progress bar."""
        losses = " ".join(f"{role} {loss:.3f}" for role, loss in self.losses.items())
        ends = " ".join(f"{end} {value:.3f}" for end, value in self.quality.items())
        return (
            f"loss {losses}{f' | {self.metric} {ends}' if ends else ''} | lr {self.lr:.3g} | "
            f"{self.passes_per_second:.1f} passes/s"
        )


class Log:
    """Mean losses since the last line, and the speed of this sitting."""

    def __init__(
        self, training: Training, out_dir: Path, last: int, on_progress: Callable[[Progress], None] | None
    ) -> None:
        self._training, self._path, self._end, self._on_progress = (
            training,
            out_dir / METRICS_FILE,
            last,
            on_progress,
        )
        self.first, self._billed, self._seconds = training.step, training.billed, training.seconds
        self._began = self._last = self._saved = time.monotonic()
        self.quality: dict[str, float] = {}

    @property
    def elapsed(self) -> float:
        """Seconds since this sitting began."""
        return time.monotonic() - self._began

    def add(self, losses: dict[str, float]) -> None:
        """Add the losses of a step."""
        for role, value in losses.items():
            self._training.unlogged.setdefault(role, []).append(value)
        self._training.seconds = self._seconds + self.elapsed

    @property
    def unsaved(self) -> float:
        """Seconds since the last checkpoint."""
        return time.monotonic() - self._saved

    def saved(self) -> None:
        """A checkpoint was written."""
        self._saved = time.monotonic()

    def write(self) -> None:
        """Add a line to the file and report it."""
        report = self._report()
        with self._path.open("a") as file:
            file.write(json.dumps(asdict(report)) + "\n")
        self.report(report)
        self._training.unlogged, self.quality = {}, {}

    def report(self, report: Progress | None = None) -> None:
        """Call ``on_progress`` with this line of the file, or, at most once a second, with the present state."""
        if self._on_progress and (report is not None or time.monotonic() - self._last >= REPORT_EVERY_S):
            self._on_progress(report or self._report())
            self._last = time.monotonic()

    def _report(self) -> Progress:
        training, elapsed = self._training, self.elapsed
        per_step = elapsed / max(1, training.step - self.first)
        return Progress(
            step=training.step,
            steps=training.recipe.steps,
            passes=training.passes,
            lr=learning_rate(training.recipe, training.step - 1),
            losses={role: sum(values) / len(values) for role, values in training.unlogged.items()},
            metric=training.task.quality,
            quality=self.quality,
            seconds=training.seconds,
            passes_per_second=(training.billed - self._billed) / max(elapsed, 1e-9),
            eta_s=per_step * (self._end - training.step),
            billed=round(training.billed, 2),
            region=float(sum(shard.region.size() for shard in training.shards)),
            shards=len(training.shards),
            stage=training.stage,
            epoch=round(training.step * training.recipe.batch_size / len(training.data.train), 3),
        )
