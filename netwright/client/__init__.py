"""The Python client: one object a server, one attribute a kind of resource."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import TracebackType

import httpx

from netwright.client.fronts import Fronts
from netwright.client.http.connection import Connection
from netwright.client.http.decode import read
from netwright.client.http.models import Readiness
from netwright.client.jobs import Jobs
from netwright.client.metrics import Metrics
from netwright.client.predictors import Predictors
from netwright.client.searches import Searches
from netwright.client.subnets import Exports, FineTunes, Subnets
from netwright.client.supernets import Supernets, Trainings
from netwright.client.targets import Measurements, Targets

DEFAULT_URL = "http://127.0.0.1:8000"


class Client:
    """A Netwright server.

    ``url`` is its address (default: ``NETWRIGHT_URL``, else this machine's port 8000), ``key`` the key it needs, if
    any (default: ``NETWRIGHT_KEY``). ``timeout`` is the longest silence of the server in seconds. What the server
    refuses is raised as :class:`~netwright.errors.ApiError`. Usable as a context manager; ``transport`` replaces the
    network (tests).
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout: float = 60.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        url = url or os.environ.get("NETWRIGHT_URL") or DEFAULT_URL
        key = key or os.environ.get("NETWRIGHT_KEY") or None
        self.connection = Connection(url, key, timeout=timeout, transport=transport)
        self.jobs = Jobs(self)
        self.metrics = Metrics(self)
        self.supernets = Supernets(self)
        self.trainings = Trainings(self)
        self.targets = Targets(self)
        self.measurements = Measurements(self)
        self.predictors = Predictors(self)
        self.exports = Exports(self)
        self.finetunes = FineTunes(self)
        self.subnets = Subnets(self)
        self.fronts = Fronts(self)
        self.searches = Searches(self)

    def __repr__(self) -> str:
        return f"Client({self.connection.url!r})"

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.connection.close()

    def with_ids(self, query: Mapping[str, object]) -> dict[str, object]:
        """Parameters of a list, with supernet and target by their ids in place of their names."""
        found = dict(query)
        if found.get("supernet"):
            found["supernet"] = self.supernets.id_of(str(found["supernet"]))
        if found.get("target"):
            found["target"] = self.targets.id_of(str(found["target"]))
        return found

    def ready(self) -> Readiness:
        """``status``, ``database``, ``schema_version``, ``workers``; raises where the server cannot work."""
        return read(Readiness, self.connection.get("/readyz"))
