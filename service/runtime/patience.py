"""Waiting for a database that does not answer, or for room on a disk."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from service.errors import DatabaseUnavailableError, StorageFullError

T = TypeVar("T")
FIRST_S, LONGEST_S = 0.1, 5.0
PASSING = (DatabaseUnavailableError, StorageFullError)
log = logging.getLogger("netwright.worker")


def pauses() -> Iterator[float]:
    """Seconds between two tries: twice as long each time, up to :data:`LONGEST_S`."""
    pause = FIRST_S
    while True:
        yield pause
        pause = min(2 * pause, LONGEST_S)


def patiently(work: Callable[[], T], what: str, ended: threading.Event | None = None) -> T:
    """Do work on the database, again after a pause while it does not answer or has no room.

    An outage has no end that could be known, and giving up would lose what a job has computed: this ends with the
    outage, with ``ended``, or with the process, which ends when another worker has taken its jobs.
    """
    for pause in pauses():
        try:
            return work()
        except PASSING as error:
            log.warning("%s: %s; next try in %.1f s", what, error, pause)
            if (ended or threading.Event()).wait(pause):
                raise
    raise AssertionError("pauses have no end")
