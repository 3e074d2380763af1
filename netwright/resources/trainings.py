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
        data: str,
        family: str | Mapping[str, Any],
        recipe: str | Mapping[str, Any] | None = None,
        steps: int | None = None,
        seed: int = 0,
    ) -> Job:
        """Start a training; when the job has succeeded its ``resource`` names the new supernet.

        ``family`` is the name of a zoo supernet whose sizes are taken, or ``{"family": name, …}``; ``recipe``
        a name or its values; ``data`` a data set of the server.
        """
        body = {"name": name, "data": data, "family": family, "recipe": recipe, "steps": steps, "seed": seed}
        return self._jobs.started(self._connection.post("/v1/trainings", body))
