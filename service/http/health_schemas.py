"""Whether the service is up, and whether it can work."""

from __future__ import annotations

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
