"""Fronts: the non-dominated subnets of a search, or of everything stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, overload

from netwright.client.http import models
from netwright.client.http.connection import Connection
from netwright.client.http.decode import read
from netwright.client.metrics import Metrics, check_metric
from netwright.client.resource import counted, dataframe, html_table
from netwright.client.subnets import Downloadable, Subnet, Subnets
from netwright.client.targets import Targets, with_ids
from netwright.errors import NetwrightError, NoSuchPointError

if TYPE_CHECKING:
    import pandas


FORMATS = ("csv", "parquet")
Ask = Mapping[str, object]


class Point(Downloadable, models.FrontPoint):
    """One subnet of a front: ``arch``, what was ``predicted``, what was ``measured``, quality and costs."""

    path: ClassVar[str] = "/v1/subnets"

    @property
    def id(self) -> str:  # type: ignore[override]
        """The subnet's id."""
        return self.subnet

    def value(self, metric: str, target: str | None = None) -> float | None:
        """Its true ``metric`` as choices are made by: quality on validation, latency as measured, exact costs.

        The quality on test (``point.quality``) is for reporting; choosing by it would keep the lucky points. Where
        several targets were measured and none is named, the largest. None where it was not measured.
        """
        if self.validation is not None and self.validation.metric == metric:
            return self.validation.value
        values = [row.value for row in self.measured if row.metric == metric and target in (None, row.target)]
        return max(values) if values else self.costs.get(metric)

    def details(self) -> Subnet:
        """Everything stored about this subnet."""
        return Subnets(self._connection).get(self.id)

    def summary(self) -> dict[str, object]:
        """Its true values."""
        measured = dict.fromkeys(row.metric for row in self.measured)
        quality = [self.validation.metric] if self.validation else []
        return {"id": self.id, **{name: self.value(name) for name in (*measured, *quality)}}

    def row(self) -> dict[str, object]:
        """Its values in one line of a table; metrics of a target as ``metric@target``."""
        names = Targets(self._connection).names()
        found: dict[str, object] = {
            "subnet": self.subnet,
            "target": names.get(self.target or "", self.target),
            "feasible": self.feasible,
        }
        for row in self.measured:
            on = f"{row.metric}@{names.get(row.target, row.target)}"
            found |= {on: row.value, f"{on} spread": row.spread, f"{on} verdict": row.verdict}
        for predicted in self.predicted:
            on = f"@{names.get(predicted.target, predicted.target)}" if predicted.target else ""
            found[f"predicted {predicted.metric}{on}"] = predicted.mean
        for quality in (self.validation, self.quality):
            if quality is not None:
                found[f"{quality.metric} on {quality.split}"] = quality.value
        return {**found, **self.costs, "reason": self.reason, "arch": self.arch}


class Front(Sequence[Point]):
    """The points of a front, in the server's order; ``objectives``, ``total``, ``note``.

    ``original`` is the network that the supernet was converted from, None where it was not converted.

    ``ask`` requests the same front with other parameters, ``fetch`` saves it as a table.
    """

    def __init__(
        self,
        connection: Connection,
        answer: models.Object,
        ask: Callable[[Ask], Front],
        fetch: Callable[[Path, str], None],
    ) -> None:
        self.points = [Point.of(connection, row) for row in answer["points"]]
        self.search: str | None = answer.get("search")
        self.objectives: list[str] = answer.get("objectives") or []
        self.note: str | None = answer.get("note")
        self.noise: str | None = answer.get("noise")
        self.original = read(models.OriginalView, answer["original"]) if answer.get("original") else None
        self.total: int = answer.get("total", len(self.points))
        self._answer, self._ask, self._fetch = answer, ask, fetch
        self._connection = connection

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
        return f"<Front of {self.search or 'everything stored'}: {counted(len(self), 'point')}>"

    def target_names(self) -> dict[str, str]:
        """Names of targets by id."""
        return Targets(self._connection).names()

    def to_dict(self) -> models.Object:
        """All its fields as the server's JSON."""
        return dict(self._answer)

    def to_dataframe(self) -> pandas.DataFrame:
        """A pandas table with a line a point; needs pandas."""
        return dataframe([point.row() for point in self])

    def _repr_html_(self) -> str:
        rows = [point.summary() for point in self]
        columns = list(dict.fromkeys(name for row in rows for name in row))
        return html_table(columns, [[row.get(name) for name in columns] for row in rows])

    def pick(self, how: str = "best", *, target: str | None = None, **limits: float) -> Point:
        """One point of the whole front that meets the limits, with its ``reason``.

        ``how`` is ``best`` (quality; among equals the smaller latency) or ``knee``. Limits are called ``max_<metric>``
        or ``min_<metric>`` and checked by true values (:meth:`Point.value`); ``target`` (id or name) names the one
        whose latency counts where the search had several. Raises :class:`NoSuchPointError` with the nearest value.
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

        ``how`` is ``best``, ``knee``, ``buckets`` (the best of each part of the range of a cost, or of the metric
        ``by``) or ``spread``. Raises :class:`NoSuchPointError` where no point meets the limits.
        """
        named = {"target": Targets(self._connection).id_of(target)} if target else {}
        found = self._ask(
            {"pick": how, "k": k, "by": by, **named, **checked_limits(self._connection, limits)}
        )
        if not found.points:
            raise NoSuchPointError(found.note or "the front is empty: no subnet met the limits")
        return found

    def save(self, path: str | Path, *, format: str | None = None) -> Path:
        """Save all its points at ``path`` as ``csv`` or ``parquet``; by the file's ending if not set."""
        destination = Path(path)
        self._fetch(destination, format or _format_of(destination))
        return destination


def checked_limits(connection: Connection, limits: Mapping[str, float | None]) -> dict[str, float | None]:
    """Limits of a front by their parameters; raises TypeError or NetwrightError for a name that is none."""
    for name in limits:
        if not name.startswith(("max_", "min_")):
            raise TypeError(f"a limit must be called max_<metric> or min_<metric>, got {name!r}")
        check_metric(name[4:], Metrics(connection).directions)
    return dict(limits)


def _format_of(path: Path) -> str:
    ending = path.suffix.lstrip(".").lower()
    if ending not in FORMATS:
        raise NetwrightError(f"a front is saved as .{' or .'.join(FORMATS)}, got {path.name!r}")
    return ending


class Fronts:
    """``client.fronts``: the best of everything stored, over all searches."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def best(
        self,
        supernet: str,
        target: str | None = None,
        *,
        max_points: int | None = None,
        **limits: float | None,
    ) -> Front:
        """The front over all searches; ``supernet`` and ``target`` by id or name.

        Limits are called ``max_<metric>`` or ``min_<metric>`` and checked by true values. Without a target, the worst
        one that a subnet was measured on counts.
        """
        query = {
            **with_ids(self._connection, {"supernet": supernet, "target": target}),
            "max_points": max_points,
            **checked_limits(self._connection, limits),
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

        Where the search has a front for each target, ``target`` (id or name) selects one.
        """
        query = {
            "pick": pick,
            "k": k,
            "max_points": max_points,
            **with_ids(self._connection, {"target": target}),
        }
        return self._front(f"/v1/searches/{search}/front", query)

    def _front(self, path: str, query: Ask) -> Front:
        connection, whole = self._connection, {**query, "max_points": None}

        def front(parameters: Ask) -> Front:
            return Front(
                self._connection,
                connection.get(path, parameters),
                lambda more: front({**whole, **more}),
                fetch,
            )

        def fetch(destination: Path, format: str) -> None:
            connection.download(path, destination, query={**whole, "format": format})

        return front(query)
