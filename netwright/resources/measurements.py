"""Rows that were measured or evaluated."""

from __future__ import annotations

from collections.abc import Iterator

from netwright.connection import Connection
from netwright.resources.resource import Resource


class Measurement(Resource):
    """A metric of a subnet on a target or a split: value, spread, n, verdict, provenance."""


class Measurements:
    """``client.measurements``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(
        self,
        *,
        supernet: str | None = None,
        target: str | None = None,
        metric: str | None = None,
        split: str | None = None,
        subnet: str | None = None,
        job: str | None = None,
    ) -> Iterator[Measurement]:
        """All rows that fit, newest first; arguments are ids and names of metrics and splits."""
        query = {
            "supernet": supernet,
            "target": target,
            "metric": metric,
            "split": split,
            "subnet": subnet,
            "job": job,
        }
        for row in self._connection.pages("/v1/measurements", query):
            yield Measurement(row)
