"""The metrics of a server, and in which direction each is good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from netwright.client.http import models
from netwright.client.http.connection import Connection
from netwright.client.resource import Listing, Resource, did_you_mean
from netwright.errors import NetwrightError

Side = Literal["max", "min"]
Directions = Mapping[str, Side]
"""Of each metric the side of a plain limit: ``max`` where smaller values are better."""


class Metric(Resource, models.MetricView):
    """A quantity of a subnet that can be an objective or have a limit."""

    path: ClassVar[str] = "/v1/metrics"
    shown: ClassVar[tuple[str, ...]] = ("name", "unit", "direction", "source", "description")


class Metrics:
    """``client.metrics``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self) -> Listing[Metric]:
        """All metrics of the server."""
        rows = self._connection.get_once(Metric.path)["items"]
        return Listing((Metric.of(self._connection, row) for row in rows), "metric")

    @property
    def directions(self) -> Directions:
        """The side of a plain limit on each metric."""
        return {metric.name: "max" if metric.direction == "min" else "min" for metric in self.list()}


def check_metric(name: str, directions: Directions) -> str:
    """The name of a metric; raises NetwrightError with the nearest name where there is none such."""
    if name not in directions:
        raise NetwrightError(
            f"there is no metric {name!r}{did_you_mean(name, directions)}; metrics: {', '.join(sorted(directions))}"
        )
    return name
