"""Trained supernets, and training them on the server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Unpack

from netwright.client.http import models
from netwright.client.http.connection import LOADING_S, Connection
from netwright.client.http.files import file_body
from netwright.client.http.requests import (
    ArchColumn,
    CostColumn,
    EvaluateOptions,
    SupernetsQuery,
    TrainingOptions,
)
from netwright.client.jobs import Job, Jobs
from netwright.client.resource import Deletable, Listing, NamedCollection, Resource, checked
from netwright.metric_names import MACS, PARAMS

READINGS, COUNTS = ("value", "digits", "words"), ("K", "M", "G")


class Space(Resource, models.SpaceView):
    """The axes and choices of a supernet, its number of subnets, the smallest and the largest one."""

    shown: ClassVar[tuple[str, ...]] = ("size", "axes")


class Estimate(Resource, models.EstimateView):
    """The cost of a training."""

    shown: ClassVar[tuple[str, ...]] = ("data", "recipe", "steps", "subnets", "billed", "memory_mb")


class Supernet(Deletable, models.SupernetView):
    """A registered supernet."""

    path: ClassVar[str] = "/v1/supernets"
    shown: ClassVar[tuple[str, ...]] = ("name", "id", "family", "quality", "space_size", "source")

    def space(self) -> Space:
        """Its axes and choices, number of subnets, smallest and largest subnet."""
        return Space.of(self._connection, self._connection.get(f"{self.path}/{self.id}/space"))

    def evaluate(self, **options: Unpack[EvaluateOptions]) -> Job:
        """Start to evaluate the quality of ``count`` subnets spread over the space, or of exactly ``archs``."""
        body = checked(options, EvaluateOptions)
        return Jobs(self._connection).started(
            self._connection.post(f"{self.path}/{self.id}/evaluations", body)
        )

    def update(self, *, data: str | None = None, licence: str | None = None) -> Supernet:
        """State where the images that it was trained on are now (their hashes are checked), or the weights' licence."""
        stated = {"data": data, "licence": licence}
        body = {name: value for name, value in stated.items() if value is not None}
        answer = self._connection.patch(f"{self.path}/{self.id}", body)
        return Supernet.of(self._connection, answer)


class Supernets(NamedCollection[Supernet]):
    """``client.supernets``."""

    kind, noun, prefix = Supernet, "supernet", "sup_"
    hint = "`netwright supernets add NAME` registers one of the zoo"

    def add(
        self,
        zoo: str | None = None,
        *,
        path: str | None = None,
        name: str | None = None,
        data: str | None = None,
    ) -> Supernet:
        """Register a supernet of the ``zoo``, or a directory ``path`` inside the server's import folder.

        ``data`` states where the images it was trained on are now; their hashes are checked.
        """
        return self._create({"zoo": zoo, "path": path, "name": name, "data": data})

    def import_official(self, kind: str, file: str, *, data: str, name: str | None = None) -> Supernet:
        """Register a supernet that once-for-all released.

        ``kind`` is its name (``ofa_mbv3_d234_e346_k357_w1.0``), ``file`` a path inside the server's import folder, and
        ``data`` the ImageNet images that subnets are evaluated on (``folder:imagenet``).
        """
        return self._create({"official": {"kind": kind, "file": file}, "data": data, "name": name})

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

        ``archs`` are columns, ``COL`` or ``COL:digits`` (one axis a digit), ``COL:words`` (one axis a word
        between separators) or ``COL:value``. ``depth_axis`` is the column with the number of positions that
        count. ``params`` and ``macs`` are columns with counts, ``COL`` or in thousands, millions or
        billions ``COL:K``, ``COL:M``, ``COL:G``. ``file`` as in ``targets.import_table``.
        """
        space = space_of(archs, depth_axis=depth_axis, params=params, macs=macs)
        table = {"file": file_body(file, on_server=on_server), **space}
        return self._create({"name": name, "table": table})

    def _create(self, body: dict[str, object]) -> Supernet:
        return Supernet.of(self._connection, self._connection.post(Supernet.path, body, timeout_s=LOADING_S))

    def list(self, **filters: Unpack[SupernetsQuery]) -> Listing[Supernet]:
        """All supernets, newest first."""
        return self._listed(checked(filters, SupernetsQuery))


class Trainings:
    """``client.trainings``.

    ``data`` is a data set of the server; ``family`` the name of a zoo supernet whose sizes are used, or
    ``{"family": name, …}``; ``recipe`` a name or its values. ``source`` is a supernet, by id or name, that is trained
    further as a new stage: data, family and seed may be left to it. ``teacher`` is a supernet whose largest network
    teaches, where the recipe uses a teacher.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, name: str, *, priority: int | None = None, **options: Unpack[TrainingOptions]) -> Job:
        """Start a training; when the job has succeeded its ``resource`` names the new supernet."""
        body = {"name": name, "priority": priority, **checked(options, TrainingOptions)}
        return Jobs(self._connection).started(
            self._connection.post("/v1/trainings", body, timeout_s=LOADING_S)
        )

    def estimate(self, name: str | None = None, **options: Unpack[TrainingOptions]) -> Estimate:
        """The cost of :meth:`create` with the same arguments; starts nothing, and refuses what it would refuse."""
        body = {"name": name, **checked(options, TrainingOptions)}
        return Estimate.of(
            self._connection, self._connection.post("/v1/trainings:estimate", body, timeout_s=LOADING_S)
        )


def space_of(
    archs: Sequence[str], *, depth_axis: str | None, params: str | None, macs: str | None
) -> dict[str, object]:
    """The columns of a space as the service reads them; see :meth:`Supernets.add_table`."""
    space = {
        "archs": [_arch_column(text) for text in archs],
        "depth_axis": depth_axis,
        PARAMS: _cost_column(params),
        MACS: _cost_column(macs),
    }
    return {key: value for key, value in space.items() if value is not None}


def _arch_column(text: str) -> ArchColumn:
    column, read_as = _suffixed(text, READINGS)
    return {"column": column, "read": read_as}


def _cost_column(text: str | None) -> CostColumn | None:
    if text is None:
        return None
    column, unit = _suffixed(text, COUNTS)
    return {"column": column, "unit": unit or "1"}


def _suffixed(text: str, suffixes: Sequence[str]) -> tuple[str, str | None]:
    """``COL:digits`` as column and suffix; any other colon is part of the name."""
    column, colon, suffix = text.rpartition(":")
    return (column, suffix) if colon and suffix in suffixes else (text, None)
