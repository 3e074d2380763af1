"""Hardware targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from netwright.connection import JSON, Connection
from netwright.errors import NetwrightError
from netwright.resources.files import file_body
from netwright.resources.jobs import Job, Jobs
from netwright.resources.resource import Resource
from netwright.resources.supernets import Supernets


class Target(Resource):
    """A device, its runtime, and the settings under which latency is defined."""

    def __init__(self, data: JSON, targets: Targets) -> None:
        super().__init__(data)
        self._targets = targets

    def measure(
        self,
        supernet: str,
        *,
        count: int | None = None,
        archs: Sequence[Mapping[str, Any]] | None = None,
        seed: int = 0,
        choose: str | None = None,
        until: float | None = None,
        metrics: Sequence[str] = ("latency_ms",),
    ) -> Job:
        """Measure ``count`` subnets of ``supernet``, or exactly ``archs``; see :meth:`Targets.measure`."""
        return self._targets.measure(
            self.id,
            supernet,
            count=count,
            archs=archs,
            seed=seed,
            choose=choose,
            until=until,
            metrics=metrics,
        )

    def bring(self, supernet: str, file: Path | str, latency: str, **options: Any) -> Job:
        """Take the rows of a file as measurements; see :meth:`Targets.bring`."""
        return self._targets.bring(self.id, supernet, file, latency, **options)

    def refresh(self) -> Target:
        """Start anew with the runtime that is there now; what was measured before is stale."""
        return self._targets.refresh(self.id)


class Targets:
    """``client.targets``."""

    def __init__(self, connection: Connection, jobs: Jobs, supernets: Supernets) -> None:
        self._connection, self._jobs, self._supernets = connection, jobs, supernets

    def add(
        self, kind: str = "cpu", *, name: str | None = None, settings: Mapping[str, Any] | None = None
    ) -> Target:
        """Register a target.

        ``cpu`` is the machine of the server's worker, ``agent`` one where an agent runs, ``table`` a device
        measured elsewhere.
        """
        body = {"kind": kind, "name": name, "settings": dict(settings or {})}
        return Target(self._connection.post("/v1/targets", body), self)

    def get(self, id_or_name: str) -> Target:
        """The target with this id, or the newest of this name."""
        if id_or_name.startswith("tgt_"):
            return Target(self._connection.get(f"/v1/targets/{id_or_name}"), self)
        for target in self.list(name=id_or_name):
            return target
        names = sorted({target["name"] for target in self.list()})
        raise NetwrightError(
            f"no target is called {id_or_name!r}; there are: {', '.join(names) or 'none'}; "
            f"`netwright targets add` registers one"
        )

    def list(self, *, name: str | None = None, kind: str | None = None) -> Iterator[Target]:
        """All targets, newest first."""
        for row in self._connection.pages("/v1/targets", {"name": name, "kind": kind}):
            yield Target(row, self)

    def measure(
        self,
        id: str,
        supernet: str,
        *,
        count: int | None = None,
        archs: Sequence[Mapping[str, Any]] | None = None,
        seed: int = 0,
        choose: str | None = None,
        until: float | None = None,
        metrics: Sequence[str] = ("latency_ms",),
    ) -> Job:
        """Start the measurement of subnets of ``supernet`` (id or name).

        ``choose`` is ``information`` (what tells most about this target, given the known ones; the default where
        other targets of the space are known) or ``spread`` over the space. With ``until`` it stops before
        ``count`` when a predictor errs by less on held-out rows (0.03 is 3 %); ``result`` of the job says so.
        """
        body = {
            "supernet": self._supernets.get(supernet).id,
            "count": count,
            "archs": None if archs is None else [dict(arch) for arch in archs],
            "seed": seed,
            "choose": choose,
            "until": None if until is None else {"metric": "mape", "below": until},
            "metrics": list(metrics),
        }
        return self._jobs.started(self._connection.post(f"/v1/targets/{id}/measurements", body))

    def bring(
        self,
        id: str,
        supernet: str,
        file: Path | str,
        latency: str,
        *,
        unit: str = "ms",
        archs: Sequence[str] = (),
        on_server: bool = False,
        strict: bool = False,
        accept_jumps: bool = False,
    ) -> Job:
        """Start to take rows that were measured elsewhere, for a target of kind ``table``.

        ``file`` is parquet or CSV, sent with the request, or with ``on_server`` a path inside the server's import
        folder. ``latency`` names the column and ``unit`` is ms, s, us or ns; ``archs`` are the columns that say
        which arch a row is (default: every axis that the table has). The job's ``result`` says what was
        accepted and, row by row, what was refused and why.
        """
        table = {
            "file": file_body(file, on_server=on_server),
            "latency": latency,
            "unit": unit,
            "archs": list(archs),
            "strict": strict,
            "accept_jumps": accept_jumps,
        }
        body = {"supernet": self._supernets.get(supernet).id, "table": table}
        return self._jobs.started(self._connection.post(f"/v1/targets/{id}/measurements", body))

    def refresh(self, id: str) -> Target:
        """Start a target anew with the runtime that is there now."""
        return Target(self._connection.post(f"/v1/targets/{id}:refresh"), self)
