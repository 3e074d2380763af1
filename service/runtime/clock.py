"""Time under a living worker, and judging other workers without comparing clocks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping


class LivingClock:
    """Seconds for which this process was running, as far as it was read at least every ``gap_s`` seconds.

    A longer gap between two readings, as when the process was suspended, counts as ``gap_s``. No step of the
    system's clock changes it.
    """

    def __init__(self, gap_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._gap_s, self._clock = gap_s, clock
        self._last, self._total = clock(), 0.0
        self._lock = threading.Lock()

    def read(self) -> float:
        """Seconds since the start."""
        with self._lock:
            now = self._clock()
            self._total += min(max(now - self._last, 0.0), self._gap_s)
            self._last = now
            return self._total


class Watch:
    """Which workers are silent: their count of heartbeats has not changed for ``timeout_s`` seconds of our own clock.

    The time between two looks counts at most ``gap_s``, so that no worker is judged for a time in which this process
    itself was suspended, and :meth:`forget` starts over after a time in which the database did not answer.
    """

    def __init__(self, timeout_s: float, gap_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._timeout_s = timeout_s
        self._clock = LivingClock(gap_s, clock)
        self._seen: dict[str, tuple[int, float]] = {}

    def look(self, heartbeats: Mapping[str, int]) -> set[str]:
        """Note how many heartbeats each worker has sent; returns the silent ones."""
        now = self._clock.read()
        seen = {}
        for id, count in heartbeats.items():
            before = self._seen.get(id)
            seen[id] = before if before is not None and before[0] == count else (count, now)
        self._seen = seen
        return {id for id, (_, since) in seen.items() if now - since >= self._timeout_s}

    def forget(self, ids: Iterable[str] | None = None) -> None:
        """Start over with some workers, or with all."""
        for id in list(self._seen) if ids is None else ids:
            self._seen.pop(id, None)
