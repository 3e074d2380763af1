"""The metrics of a server, and in which direction each is good."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Literal

from netwright.client.http import models
from netwright.client.resource import Listing, Resource, did_you_mean
from netwright.errors import NetwrightError

if TYPE_CHECKING:
    from netwright.client import Client

Side = Literal["max", "min"]
Directions = Mapping[str, Side]
"""Of each metric the side of a plain limit: ``max`` where smaller values are better."""


class Metric(Resource, models.MetricView):
    """A quantity of a subnet that can be an objective or have a limit."""

    path: ClassVar[str] = "/v1/metrics"
    shown: ClassVar[tuple[str, ...]] = ("name", "unit", "direction", "source", "description")


class Metrics:
    """``client.metrics``."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self) -> Listing[Metric]:
        """All metrics of the server."""
        rows = self._client.connection.get(Metric.path)["items"]
        return Listing((Metric.of(self._client, row) for row in rows), "metric")

    @cached_property
    def directions(self) -> Directions:
        """The side of a plain limit on each metric; requested once."""
        return {metric.name: "max" if metric.direction == "min" else "min" for metric in self.list()}


def check_metric(name: str, directions: Directions) -> str:
    """The name of a metric; raises NetwrightError with the nearest name where there is none such."""
    if name not in directions:
        raise NetwrightError(
            f"there is no metric {name!r}{did_you_mean(name, directions)}; metrics: {', '.join(sorted(directions))}"
        )
    return name
