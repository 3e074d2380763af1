"""What a task of a child process receives beside its input."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Protocol


class Progress(Protocol):
    """Reports how far a task is."""

    def __call__(
        self, done: int, total: int, message: str | None = None, metrics: Mapping[str, Any] | None = None
    ) -> None:
        """Report ``done`` of ``total``, what is being done, and figures for the event stream."""


def out_of_time(until: float | None) -> bool:
    """Whether the Unix time after which nothing new may be started has come."""
    return until is not None and time.time() >= until
