"""Whether the service is up, and whether it can work."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.problems import View


class Health(View):
    """The process answers."""

    status: str
    version: str


class Readiness(View):
    """The database answers and is migrated; ``workers`` counts those with a recent heartbeat."""

    status: str
    database: str
    schema_version: str | None
    workers: int
    queued_for_s: float = Field(description="Age of the job that waits longest for a worker, 0 without one")
    disk_free_mb: float = Field(description="Room on the disk of NETWRIGHT_HOME")
    disk: Literal["ok", "nearly_full"] = Field(description="nearly_full below 200 MB: writes may soon fail")
