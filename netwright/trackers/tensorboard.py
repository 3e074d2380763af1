"""TensorBoard, by tensorboardX: event files in a folder of the run's name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tensorboardX import SummaryWriter

DEFAULT_FOLDER = "runs"


class TensorBoard:
    """Scalars by step, and parameters as texts."""

    def __init__(self, place: str | None, name: str) -> None:
        self._writer = SummaryWriter(str(Path(place or DEFAULT_FOLDER) / name))

    def parameters(self, values: Mapping[str, object]) -> None:
        """Write them as texts."""
        for name, value in values.items():
            self._writer.add_text(name, str(value))

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Write them as scalars."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush and close the file."""
        self._writer.close()
