"""The Python client: one object a server, one attribute a kind of resource."""

from __future__ import annotations

from types import TracebackType

import httpx

from netwright.connection import JSON, Connection
from netwright.resources.exports import Exports
from netwright.resources.fronts import Fronts
from netwright.resources.jobs import Jobs
from netwright.resources.measurements import Measurements
from netwright.resources.predictors import Predictors
from netwright.resources.searches import Searches
from netwright.resources.subnets import Subnets
from netwright.resources.supernets import Supernets
from netwright.resources.targets import Targets
from netwright.resources.trainings import Trainings

DEFAULT_URL = "http://127.0.0.1:8000"


class Client:
    """A Netwright server at ``url``; ``key`` is sent as a bearer token where one is needed.

    ``timeout`` is the longest silence of the server in seconds. What the server refuses is raised as an
    :class:`~netwright.errors.ApiError` that shows the field, what was got and what is allowed. Usable as a
    context manager; ``transport`` replaces the network (tests).
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        key: str | None = None,
        *,
        timeout: float = 60.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.connection = Connection(url, key, timeout=timeout, transport=transport)
        self.jobs = Jobs(self.connection)
        self.supernets = Supernets(self.connection, self.jobs)
        self.targets = Targets(self.connection, self.jobs, self.supernets)
        self.measurements = Measurements(self.connection)
        self.predictors = Predictors(self.connection, self.jobs, self.supernets, self.targets)
        self.exports = Exports(self.connection, self.jobs)
        self.subnets = Subnets(self.connection, self.exports)
        self.fronts = Fronts(self.connection, self.subnets, self.supernets, self.targets)
        self.searches = Searches(self.connection, self.jobs, self.fronts, self.supernets, self.targets)
        self.trainings = Trainings(self.connection, self.jobs)

    def __repr__(self) -> str:
        return f"Client({self.connection.url!r})"

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the sockets back."""
        self.connection.close()

    def ready(self) -> JSON:
        """``{status, database, schema_version, workers}``; raises where the server cannot work."""
        return self.connection.get("/readyz")
