"""Training a supernet on the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netwright.connection import JSON, Connection
from netwright.resources.jobs import Job, Jobs


class Trainings:
    """``client.trainings``."""

    def __init__(self, connection: Connection, jobs: Jobs) -> None:
        self._connection, self._jobs = connection, jobs

    def create(
        self,
        name: str,
        *,
        data: str | None = None,
        family: str | Mapping[str, Any] | None = None,
        recipe: str | Mapping[str, Any] | None = None,
        steps: int | None = None,
        seed: int | None = None,
        source: str | None = None,
        teacher: str | None = None,
    ) -> Job:
        """Start a training; when the job has succeeded its ``resource`` names the new supernet.

        ``family`` is the name of a zoo supernet whose sizes are taken, or ``{"family": name, …}``; ``recipe``
        a name or its values; ``data`` a data set of the server. ``source`` is a supernet, by id or name, that is
        trained further, as a new stage: data, family and seed may be left to it. ``teacher`` is one whose
        largest net teaches, where the recipe asks for a teacher.
        """
        body = _body(data, family, recipe, steps, seed, source, teacher)
        return self._jobs.started(self._connection.post("/v1/trainings", {"name": name, **body}))

    def estimate(
        self,
        name: str | None = None,
        *,
        data: str | None = None,
        family: str | Mapping[str, Any] | None = None,
        recipe: str | Mapping[str, Any] | None = None,
        steps: int | None = None,
        seed: int | None = None,
        source: str | None = None,
        teacher: str | None = None,
    ) -> JSON:
        """What :meth:`create` with the same arguments would take; starts nothing, and refuses what it would.

        ``{subnets, params, macs, steps, passes, billed, macs_per_step, memory_mb, networks, …}``.
        """
        body = _body(data, family, recipe, steps, seed, source, teacher)
        return self._connection.post("/v1/trainings:estimate", {"name": name, **body})


def _body(
    data: str | None,
    family: str | Mapping[str, Any] | None,
    recipe: str | Mapping[str, Any] | None,
    steps: int | None,
    seed: int | None,
    source: str | None,
    teacher: str | None,
) -> JSON:
    return {
        "data": data,
        "family": dict(family) if isinstance(family, Mapping) else family,
        "recipe": dict(recipe) if isinstance(recipe, Mapping) else recipe,
        "steps": steps,
        "seed": seed,
        "source": source,
        "teacher": teacher,
    }
