"""Fronts: the non-dominated subnets of a search, or of everything stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from netwright.connection import JSON, Connection
from netwright.errors import NetwrightError, NoSuchPointError
from netwright.resources.exports import Export
from netwright.resources.jobs import DEFAULT_TIMEOUT_S, OnProgress
from netwright.resources.resource import Resource
from netwright.resources.subnets import Subnet, Subnets
from netwright.resources.supernets import Supernets
from netwright.resources.targets import Targets

FORMATS = ("csv", "parquet")


class Point(Resource):
    """One subnet of a front: ``arch``, what was ``predicted``, what was ``measured``, quality and costs."""

    def __init__(self, data: JSON, subnets: Subnets) -> None:
        super().__init__(data)
        self._subnets = subnets

    @property
    def id(self) -> str:
        """The subnet's id."""
        return str(self.data["subnet"])

    @property
    def reason(self) -> str | None:
        """Why it was picked, in words; None where it was not picked."""
        return self.data.get("reason")

    def value(self, metric: str, target: str | None = None) -> float | None:
        """Its true ``metric`` as choices are made by: quality on validation, latency as measured, exact costs.

        The quality on test (``point["quality"]``) is for reporting; choosing by it would keep the lucky ones.
        Where several targets were measured and none is named, the largest. None where nothing is known.
        """
        quality = self.data.get("validation")
        if quality and quality["metric"] == metric:
            return float(quality["value"])
        rows = [row for row in self.data["measured"] if row["metric"] == metric]
        values = [row["value"] for row in rows if target in (None, row["target"])]
        if values:
            return float(max(values))
        cost = self.data["costs"].get(metric)
        return None if cost is None else float(cost)

    def subnet(self) -> Subnet:
        """Everything known about it."""
        return self._subnets.get(self.id)

    def download_onnx(
        self,
        path: str | Path,
        *,
        timeout: float = DEFAULT_TIMEOUT_S,
        progress: OnProgress | bool | None = None,
    ) -> Export:
        """Save the verified ONNX file at ``path``, making it on the server if need be."""
        return self._subnets.download_onnx(self.id, path, timeout=timeout, progress=progress)


class Front(Sequence[Point]):
    """The points of a front, in the server's order.

    ``ask`` asks for the same front with other parameters, ``fetch`` saves it as a table.
    """

    def __init__(
        self,
        data: JSON,
        subnets: Subnets,
        ask: Callable[[dict[str, Any]], JSON],
        fetch: Callable[[Path, str], None],
    ) -> None:
        self.data = data
        self.points = [Point(row, subnets) for row in data["points"]]
        self._subnets, self._ask, self._fetch = subnets, ask, fetch

    @overload
    def __getitem__(self, index: int) -> Point: ...
    @overload
    def __getitem__(self, index: slice) -> list[Point]: ...
    def __getitem__(self, index: int | slice) -> Point | list[Point]:
        return self.points[index]

    def __len__(self) -> int:
        return len(self.points)

    def __iter__(self) -> Iterator[Point]:
        return iter(self.points)

    def __repr__(self) -> str:
        return f"Front({len(self)} points of {self.data.get('search') or 'everything stored'})"

    def pick(self, how: str = "best", *, target: str | None = None, **limits: float) -> Point:
        """One point of the whole front that meets the limits, with its ``reason``.

        ``how`` is ``best`` (quality; of equals the smaller latency) or ``knee``. Limits are called
        ``max_<metric>`` or ``min_<metric>`` and checked by true values (:meth:`Point.value`); ``target``, by
        id, says whose latency is meant where the search had several. Raises :class:`NoSuchPointError`, naming
        the nearest value.
        """
        more: dict[str, Any] = {**limits}
        return self.picks(how, 1, target=target, **more)[0]

    def picks(
        self,
        how: str,
        k: int | None = None,
        *,
        by: str | None = None,
        target: str | None = None,
        **limits: float,
    ) -> Front:
        """Several points, each with its ``reason``: of each target's front, where there are several.

        ``how`` is ``best``, ``knee``, ``buckets`` (the best of each part of the range of a cost, or of the
        metric ``by``) or ``spread``. Raises :class:`NoSuchPointError` where nothing meets the limits.
        """
        asked = {"pick": how, "k": k, "by": by, "target": target, **_named(limits)}
        found = Front(self._ask(asked), self._subnets, self._ask, self._fetch)
        if not found.points:
            raise NoSuchPointError(found.data.get("note") or "the front is empty: nothing met the limits")
        return found

    def save(self, path: str | Path, *, format: str | None = None) -> Path:
        """Save all its points at ``path`` as ``csv`` or ``parquet``; by the file's ending if not given."""
        destination = Path(path)
        self._fetch(destination, format or _format_of(destination))
        return destination


def _named(limits: Mapping[str, Any]) -> dict[str, Any]:
    for name in limits:
        if not name.startswith(("max_", "min_")):
            raise TypeError(f"a limit must be called max_<metric> or min_<metric>, got {name!r}")
    return dict(limits)


def _format_of(path: Path) -> str:
    ending = path.suffix.lstrip(".").lower()
    if ending not in FORMATS:
        raise NetwrightError(f"a front is saved as .{' or .'.join(FORMATS)}, got {path.name!r}")
    return ending


class Fronts:
    """``client.fronts``: the best of everything stored, over all searches."""

    def __init__(
        self, connection: Connection, subnets: Subnets, supernets: Supernets, targets: Targets
    ) -> None:
        self._connection, self._subnets = connection, subnets
        self._supernets, self._targets = supernets, targets

    def best(
        self,
        supernet: str,
        target: str | None = None,
        *,
        max_points: int | None = None,
        **limits: float | None,
    ) -> Front:
        """The front over all searches; ``supernet`` and ``target`` by id or name.

        Limits are called ``max_<metric>`` or ``min_<metric>`` and checked by true values. Without a target,
        the worst one that a subnet was measured on counts.
        """
        query: dict[str, Any] = {
            "supernet": self._supernets.get(supernet).id,
            "target": self._targets.get(target).id if target is not None else None,
            "max_points": max_points,
            **_named(limits),
        }
        return self._front("/v1/fronts", query)

    def of_search(
        self,
        search: str,
        *,
        pick: str | None = None,
        k: int | None = None,
        max_points: int | None = None,
        target: str | None = None,
    ) -> Front:
        """The front of a search; ``pick`` is ``knee``, ``best``, ``buckets`` or ``spread``.

        Of a search with a front for each target, ``target`` (id or name) asks for that one.
        """
        named = self._targets.get(target).id if target is not None else None
        query = {"pick": pick, "k": k, "max_points": max_points, "target": named}
        return self._front(f"/v1/searches/{search}/front", query)

    def _front(self, path: str, query: dict[str, Any]) -> Front:
        whole = {**query, "max_points": None}

        def ask(more: dict[str, Any]) -> JSON:
            return self._connection.get(path, {**whole, **more})

        def fetch(destination: Path, format: str) -> None:
            self._connection.download(path, destination, query={**whole, "format": format})

        return Front(self._connection.get(path, query), self._subnets, ask, fetch)

    def save(self, search: str, path: str | Path, *, format: str = "csv") -> Path:
        """Save the front of a search as ``csv`` or ``parquet`` at ``path``."""
        return self.of_search(search).save(path, format=format)
