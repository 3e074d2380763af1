"""The Python client: one object a server, one attribute a kind of resource."""

from __future__ import annotations

import os
from types import TracebackType

import httpx

from netwright.client.conversions import Conversions
from netwright.client.fronts import Fronts
from netwright.client.http.connection import Connection
from netwright.client.http.models import Readiness
from netwright.client.jobs import Jobs, readiness
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
    network (tests). With ``may_start`` a service on this machine that refuses connections is tried again for
    15.5 seconds.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout: float = 60.0,
        transport: httpx.BaseTransport | None = None,
        may_start: bool = False,
    ) -> None:
        url = url or os.environ.get("NETWRIGHT_URL") or DEFAULT_URL
        key = key or os.environ.get("NETWRIGHT_KEY") or None
        self.connection = Connection(url, key, timeout=timeout, transport=transport, may_start=may_start)
        self.jobs = Jobs(self.connection)
        self.metrics = Metrics(self.connection)
        self.supernets = Supernets(self.connection)
        self.trainings = Trainings(self.connection)
        self.conversions = Conversions(self.connection)
        self.targets = Targets(self.connection)
        self.measurements = Measurements(self.connection)
        self.predictors = Predictors(self.connection)
        self.exports = Exports(self.connection)
        self.finetunes = FineTunes(self.connection)
        self.subnets = Subnets(self.connection)
        self.fronts = Fronts(self.connection)
        self.searches = Searches(self.connection)

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

    def ready(self) -> Readiness:
        """``status``, ``database``, ``schema_version``, ``workers``; raises where the server cannot work."""
        return readiness(self.connection)
