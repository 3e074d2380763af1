"""Fronts: the non-dominated subnets of a search, or of everything stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

from netwright.connection import JSON, Connection
from netwright.errors import NoSuchPointError
from netwright.resources.exports import Export
from netwright.resources.jobs import DEFAULT_TIMEOUT_S, OnProgress
from netwright.resources.resource import Resource
from netwright.resources.subnets import Subnet, Subnets
from netwright.resources.supernets import Supernets
from netwright.resources.targets import Targets


class Point(Resource):
    """One subnet of a front: ``arch``, what was ``predicted``, what was ``measured``, quality and costs."""

    def __init__(self, data: JSON, subnets: Subnets) -> None:
        super().__init__(data)
        self._subnets = subnets

    @property
    def id(self) -> str:
        """The subnet's id."""
        return str(self.data["subnet"])

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
    """The points of a front, in the server's order."""

    def __init__(self, data: JSON, subnets: Subnets) -> None:
        self.data = data
        self.points = [Point(row, subnets) for row in data["points"]]

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

    def pick(self, **limits: float) -> Point:
        """The point of best quality that meets ``max_<metric>`` and ``min_<metric>`` limits (:meth:`Point.value`).

        Equal quality: the smaller latency. Raises :class:`NoSuchPointError`, naming the nearest value.
        """
        bounds = [_bound(name, limit) for name, limit in limits.items()]
        fitting = [point for point in self.points if all(_meets(point, *bound) for bound in bounds)]
        if not fitting:
            raise NoSuchPointError(self._why_none(bounds))
        return max(fitting, key=_goodness)

    def _why_none(self, bounds: Sequence[tuple[str, str, float]]) -> str:
        if not self.points:
            return "the front is empty: no subnet met the limits of its search"
        words = []
        for side, metric, limit in bounds:
            values = [value for point in self.points if (value := point.value(metric)) is not None]
            sign = "<=" if side == "max" else ">="
            best = (min if side == "max" else max)(values) if values else "not known"
            words.append(f"{metric} {sign} {limit:g} (best of {len(self)}: {best})")
        return f"no point of the front meets {' and '.join(words)}"


def _bound(name: str, limit: float) -> tuple[str, str, float]:
    side, _, metric = name.partition("_")
    if side not in ("max", "min") or not metric:
        raise TypeError(f"a limit must be called max_<metric> or min_<metric>, got {name!r}")
    return side, metric, limit


def _meets(point: Point, side: str, metric: str, limit: float) -> bool:
    value = point.value(metric)
    if value is None:
        return False
    return value <= limit if side == "max" else value >= limit


def _goodness(point: Point) -> tuple[float, float]:
    quality = point.data.get("validation") or {}
    latency = point.value("latency_ms")
    return quality.get("value", 0.0), -latency if latency is not None else 0.0


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
        target: str,
        *,
        max_latency_ms: float | None = None,
        min_accuracy: float | None = None,
        max_points: int | None = None,
    ) -> Front:
        """The front over all searches; ``supernet`` and ``target`` by id or name."""
        query: dict[str, Any] = {
            "supernet": self._supernets.get(supernet).id,
            "target": self._targets.get(target).id,
            "max_latency_ms": max_latency_ms,
            "min_accuracy": min_accuracy,
            "max_points": max_points,
        }
        return Front(self._connection.get("/v1/fronts", query), self._subnets)

    def of_search(
        self, search: str, *, pick: str | None = None, k: int | None = None, max_points: int | None = None
    ) -> Front:
        """The front of a search; ``pick`` is ``knee`` or ``best``."""
        query = {"pick": pick, "k": k, "max_points": max_points}
        return Front(self._connection.get(f"/v1/searches/{search}/front", query), self._subnets)

    def save(self, search: str, path: str | Path, *, format: str = "csv") -> Path:
        """Save the front of a search as ``csv`` or ``parquet`` at ``path``."""
        destination = Path(path)
        self._connection.download(f"/v1/searches/{search}/front", destination, query={"format": format})
        return destination
