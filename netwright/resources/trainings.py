"""Training a supernet on the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netwright.connection import Connection
from netwright.resources.jobs import Job, Jobs


class Trainings:
    """``client.trainings``."""

    def __init__(self, connection: Connection, jobs: Jobs) -> None:
        self._connection, self._jobs = connection, jobs

    def create(
        self,
        name: str,
        *,
        recipe: str,
        data: str | None = None,
        seed: int = 0,
        overrides: Mapping[str, Any] | None = None,
    ) -> Job:
        """Start a training; when the job has succeeded its ``resource`` names the new supernet."""
        body = {
            "name": name,
            "recipe": recipe,
            "data": data,
            "seed": seed,
            "overrides": dict(overrides or {}),
        }
        return self._jobs.started(self._connection.post("/v1/trainings", body))
