"""Trained supernets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from netwright.connection import JSON, Connection
from netwright.errors import NetwrightError
from netwright.resources.files import file_body
from netwright.resources.jobs import Job, Jobs
from netwright.resources.resource import Resource

READINGS, COUNTS = ("value", "digits", "words"), ("K", "M", "G")


class Supernet(Resource):
    """A registered supernet."""

    def __init__(self, data: JSON, supernets: Supernets) -> None:
        super().__init__(data)
        self._supernets = supernets

    def space(self) -> JSON:
        """``{axes, size, smallest, largest}``."""
        return self._supernets.space(self.id)

    def evaluate(
        self, *, count: int | None = None, archs: Sequence[Mapping[str, Any]] | None = None, seed: int = 0
    ) -> Job:
        """Evaluate the quality of ``count`` subnets spread over the space, or of exactly ``archs``."""
        return self._supernets.evaluate(self.id, count=count, archs=archs, seed=seed)


class Supernets:
    """``client.supernets``."""

    def __init__(self, connection: Connection, jobs: Jobs) -> None:
        self._connection, self._jobs = connection, jobs

    def add(self, zoo: str | None = None, *, path: str | None = None, name: str | None = None) -> Supernet:
        """Register a supernet of the ``zoo``, or a directory ``path`` inside the server's import folder."""
        body = {"zoo": zoo, "path": path, "name": name}
        return Supernet(self._connection.post("/v1/supernets", body), self)

    def add_table(
        self,
        name: str,
        file: Path | str,
        archs: Sequence[str],
        *,
        depth_axis: str | None = None,
        params: str | None = None,
        macs: str | None = None,
        on_server: bool = False,
    ) -> Supernet:
        """Register the space of a table of measured archs; it has no networks, and can be predicted.

        ``archs`` are columns, ``COL`` or ``COL:digits`` (one axis a digit), ``COL:words`` (one axis a word between
        separators) or ``COL:value``. ``depth_axis`` is the one of them that says how many positions count.
        ``params`` and ``macs`` are columns with counts, ``COL`` or in thousands, millions or billions ``COL:K``,
        ``COL:M``, ``COL:G``. ``file`` as in ``targets.bring``.
        """
        columns = [_suffixed(text, READINGS) for text in archs]
        counts = {
            metric: {"column": column, "unit": unit or "1"}
            for metric, (column, unit) in (
                (metric, _suffixed(text, COUNTS))
                for metric, text in (("params", params), ("macs", macs))
                if text
            )
        }
        table = {
            "file": file_body(file, on_server=on_server),
            "archs": [{"column": column, "read": read} for column, read in columns],
            "depth_axis": depth_axis,
            **counts,
        }
        return Supernet(self._connection.post("/v1/supernets", {"name": name, "table": table}), self)

    def get(self, id_or_name: str) -> Supernet:
        """The supernet with this id, or the newest of this name."""
        if id_or_name.startswith("sup_"):
            return Supernet(self._connection.get(f"/v1/supernets/{id_or_name}"), self)
        for supernet in self.list(name=id_or_name):
            return supernet
        names = sorted({supernet["name"] for supernet in self.list()})
        raise NetwrightError(
            f"no supernet is called {id_or_name!r}; there are: {', '.join(names) or 'none'}; "
            f"`netwright supernets add NAME` registers one of the zoo"
        )

    def list(self, *, name: str | None = None) -> Iterator[Supernet]:
        """All supernets, newest first."""
        for row in self._connection.pages("/v1/supernets", {"name": name}):
            yield Supernet(row, self)

    def space(self, id: str) -> JSON:
        """``{axes, size, smallest, largest}`` of a supernet."""
        return self._connection.get(f"/v1/supernets/{id}/space")

    def evaluate(
        self,
        id: str,
        *,
        count: int | None = None,
        archs: Sequence[Mapping[str, Any]] | None = None,
        seed: int = 0,
    ) -> Job:
        """Start the evaluation of subnets."""
        body = {"count": count, "archs": _plain(archs), "seed": seed}
        return self._jobs.started(self._connection.post(f"/v1/supernets/{id}/evaluations", body))


def _plain(archs: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]] | None:
    return None if archs is None else [dict(arch) for arch in archs]


def _suffixed(text: str, suffixes: Sequence[str]) -> tuple[str, str | None]:
    """``COL:digits`` as column and suffix; a colon that is part of the name stays."""
    column, colon, suffix = text.rpartition(":")
    return (column, suffix) if colon and suffix in suffixes else (text, None)
