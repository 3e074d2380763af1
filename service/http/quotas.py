"""How much a project and a key may ask for."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

import sqlalchemy as sa
from fastapi import Request
from sqlalchemy.orm import Session

from service.db.tables import Artifact, Job
from service.errors import QuotaError
from service.http.caller import Caller
from service.settings import Settings

BURST_S = 10.0
"""A key may send the requests of this many seconds at once."""
MOST_KEYS = 10_000
WAIT_S = 30
UNFINISHED = ("queued", "running", "cancelling")


class Rate:
    """A token bucket for each key, in this process; ``per_s`` requests a second, 0 is no limit."""

    def __init__(self, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._clock = per_s, clock
        self._buckets: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def take(self, caller: Caller) -> None:
        """Count a request; raises :class:`QuotaError` for one that comes too early."""
        if self._per_s <= 0:
            return
        most, name, now = max(self._per_s * BURST_S, 1.0), caller.key or caller.project, self._clock()
        with self._lock:
            left, at = self._buckets.pop(name, (most, now))
            left = min(left + (now - at) * self._per_s, most)
            self._buckets[name] = (max(left - 1.0, 0.0) if left >= 1.0 else left, now)
            while (
                len(self._buckets) > MOST_KEYS
            ):  # the key that has been silent longest has a full bucket by now
                self._buckets.pop(next(iter(self._buckets)))
        if left < 1.0:
            wait = math.ceil((1.0 - left) / self._per_s)
            raise QuotaError(
                f"a key may send {self._per_s:g} requests a second (NETWRIGHT_REQUESTS_PER_S)", wait
            )


def within_quota(request: Request) -> None:
    """For every route: refuse what starts a job or stores something while the project is over its quota.

    Raises:
        QuotaError: names the quota, its value and the setting.
    """
    route = request.scope.get("route")
    services = getattr(request.app.state, "services", None)
    caller = getattr(request.state, "caller", None)
    if request.method != "POST" or caller is None or services is None:
        return
    starts_job = getattr(route, "status_code", None) == 202 and not request.url.path.endswith(":cancel")
    settings: Settings = services.settings
    if starts_job and (settings.max_jobs or settings.max_stored_mb):
        with services.database.read() as session:
            _check(session, caller.project, settings)


def _check(session: Session, project: str, settings: Settings) -> None:
    if settings.max_jobs:
        query = sa.select(sa.func.count()).where(Job.project_id == project, Job.state.in_(UNFINISHED))
        jobs = session.scalar(query) or 0
        if jobs >= settings.max_jobs:
            raise QuotaError(
                f"a project may have {settings.max_jobs} jobs that have not ended (NETWRIGHT_MAX_JOBS), "
                f"this one has {jobs}; wait for one, or cancel one",
                WAIT_S,
            )
    if settings.max_stored_mb:
        query = sa.select(sa.func.coalesce(sa.func.sum(Artifact.bytes), 0)).where(
            Artifact.project_id == project
        )
        stored_mb = int(session.scalar(query) or 0) / 1e6
        if stored_mb >= settings.max_stored_mb:
            raise QuotaError(
                f"a project may store {settings.max_stored_mb:g} MB (NETWRIGHT_MAX_STORED_MB), this one has "
                f"{stored_mb:.0f} MB; delete supernets, searches or predictors that are not needed",
                WAIT_S,
            )
