"""Hardware targets, and what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, NamedTuple, Unpack

from netwright.client.http import models
from netwright.client.http.connection import Connection
from netwright.client.http.files import file_body
from netwright.client.http.requests import MeasurementsQuery, MeasureOptions, TableOptions, TargetsQuery
from netwright.client.jobs import Job, Jobs
from netwright.client.resource import Collection, Deletable, Listing, NamedCollection, Resource, checked
from netwright.client.supernets import Supernet, Supernets


class Target(Deletable, models.TargetView):
    """A device, its runtime, and the settings under which latency is defined."""

    path: ClassVar[str] = "/v1/targets"
    shown: ClassVar[tuple[str, ...]] = ("name", "id", "kind", "settings", "metrics", "stale")

    def measure(self, supernet: str, *, until: float | None = None, **options: Unpack[MeasureOptions]) -> Job:
        """Start to measure ``count`` subnets of ``supernet`` (id or name), or exactly ``archs``.

        ``choose`` is ``information`` (the subnets that reduce the uncertainty most, using other targets of the space;
        the default where there are some) or ``spread`` over the space. With ``until`` it stops before ``count`` when a
        predictor's mean error on held-out rows is below it (0.03 is 3 %).
        """
        body: dict[str, object] = {
            "supernet": Supernets(self._connection).id_of(supernet),
            "until": None if until is None else {"metric": "mape", "below": until},
            **checked(options, MeasureOptions),
        }
        return self._started(body)

    def import_table(
        self,
        supernet: str,
        file: Path | str,
        latency: str,
        *,
        on_server: bool = False,
        **options: Unpack[TableOptions],
    ) -> Job:
        """Start to import rows that were measured elsewhere, for a target of kind ``table``.

        ``file`` is parquet or CSV, sent with the request, or with ``on_server`` a path inside the server's import
        folder. ``latency`` names the column, ``unit`` its unit (ms, s, us, ns); ``archs`` are the columns that identify
        the arch of a row (default: every axis that the table has). The job's ``result`` lists the rows that were
        accepted and refused.
        """
        table = {
            "file": file_body(file, on_server=on_server),
            "latency": latency,
            **checked(options, TableOptions),
        }
        return self._started({"supernet": Supernets(self._connection).id_of(supernet), "table": table})

    def reset(self) -> Target:
        """Adopt the runtime that is installed now; earlier measurements become stale."""
        return Target.of(self._connection, self._connection.post(f"{self.path}/{self.id}:refresh"))

    def _started(self, body: Mapping[str, object]) -> Job:
        return Jobs(self._connection).started(
            self._connection.post(f"{self.path}/{self.id}/measurements", body)
        )


class Import(NamedTuple):
    """An import that was started: its job, and the ids of the target and of the supernet or space of its rows."""

    job: Job
    target: str
    supernet: str


class Targets(NamedCollection[Target]):
    """``client.targets``."""

    kind, noun, prefix = Target, "target", "tgt_"
    hint = "`netwright targets add` registers one"

    def add(
        self, kind: str = "cpu", *, name: str | None = None, settings: Mapping[str, object] | None = None
    ) -> Target:
        """Register a target.

        ``cpu`` is the machine of the server's worker, ``agent`` one where an agent runs, ``table`` a device that was
        measured elsewhere.
        """
        body = {"kind": kind, "name": name, "settings": dict(settings or {})}
        return Target.of(self._connection, self._connection.post(Target.path, body))

    def import_table(
        self,
        name: str,
        file: Path | str,
        latency: str,
        *,
        supernet: str | None = None,
        space: Mapping[str, object] | None = None,
        settings: Mapping[str, object] | None = None,
        on_server: bool = False,
        **options: Unpack[TableOptions],
    ) -> Import:
        """Import rows that were measured elsewhere as a target of kind ``table``, which is created with them.

        The rows are archs of ``supernet`` (id or name), or of a ``space`` that their columns span (its fields as in
        ``POST /v1/measurements:import``). Other parameters as for :meth:`Target.import_table`. Nothing is created if
        the file cannot be read, and nothing is left if all rows are refused.
        """
        table = {
            "file": file_body(file, on_server=on_server),
            "latency": latency,
            **checked(options, TableOptions),
        }
        body: dict[str, object] = {
            "target": {"name": name, "settings": dict(settings or {})},
            "table": table,
            **({} if space is None else {"space": dict(space)}),
            **with_ids(self._connection, {} if supernet is None else {"supernet": supernet}),
        }
        answer = self._connection.post("/v1/measurements:import", body)
        return Import(Jobs(self._connection).started(answer), answer["target"], answer["supernet"])

    def list(self, **filters: Unpack[TargetsQuery]) -> Listing[Target]:
        """All targets, newest first."""
        return self._listed(checked(filters, TargetsQuery))


class Measurement(Resource, models.MeasurementView):
    """A metric of a subnet on a target or a split: value, spread, n, verdict, provenance."""

    path: ClassVar[str] = "/v1/measurements"
    shown: ClassVar[tuple[str, ...]] = (
        "subnet",
        "metric",
        "value",
        "unit",
        "spread",
        "n",
        "verdict",
        "split",
    )


class Measurements(Collection[Measurement]):
    """``client.measurements``."""

    kind, noun = Measurement, "measurement"

    def list(self, **filters: Unpack[MeasurementsQuery]) -> Listing[Measurement]:
        """Measured and evaluated values, newest first."""
        return self._listed(with_ids(self._connection, checked(filters, MeasurementsQuery)))


def with_ids(connection: Connection, query: Mapping[str, object]) -> dict[str, object]:
    """Parameters of a list, with supernet and target by their ids in place of their names."""
    named: dict[str, NamedCollection[Supernet] | NamedCollection[Target]] = {
        "supernet": Supernets(connection),
        "target": Targets(connection),
    }
    return {
        name: named[name].id_of(str(value)) if name in named and value else value
        for name, value in query.items()
    }
