"""Searches: constraints in, a front out."""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from netwright.connection import JSON, Connection
from netwright.constraints import Constraints, as_constraints
from netwright.resources.fronts import Front, Fronts
from netwright.resources.jobs import DEFAULT_TIMEOUT_S, Jobs, OnProgress, Pending
from netwright.resources.supernets import Supernet, Supernets
from netwright.resources.targets import Targets

DEFAULT_EVALUATIONS = 24


class Search(Pending):
    """A search: its ``state`` is how its job does; ``feasible`` says, apart from that, what came out."""

    def __init__(self, data: JSON, searches: Searches, jobs: Jobs, fronts: Fronts) -> None:
        super().__init__(data)
        self._searches, self._jobs, self._fronts = searches, jobs, fronts

    @property
    def feasible(self) -> bool | None:
        """Whether the limits could be met; None until the search has ended."""
        return self.data["feasible"]  # type: ignore[no-any-return]

    def refresh(self) -> None:
        """Ask the server again."""
        self.data = self._searches.get(self.id).data

    def wait(self, timeout: float = DEFAULT_TIMEOUT_S, progress: OnProgress | bool | None = None) -> Search:
        """Wait until it has ended; an infeasible search ends well too, see ``feasible`` and ``nearest``."""
        self.job.wait(timeout, progress)
        self.refresh()
        return self

    def extend(
        self,
        *,
        evaluations: int = 0,
        constraints: Constraints | None = None,
        objectives: Sequence[str] | None = None,
        **more: Any,
    ) -> Search:
        """A new search that goes on from this one; nothing that was evaluated or measured is done again.

        ``evaluations`` are added to what was spent; with 0, what is known is judged by other ``constraints``
        (they replace the old ones) or ``objectives``. ``more``: ``seconds``, ``confidence``, ``algorithm``,
        ``seed``, ``stall``, ``labels``.
        """
        return self._searches.extend(
            self.id, evaluations=evaluations, constraints=constraints, objectives=objectives, **more
        )

    def front(self, *, pick: str | None = None, k: int | None = None, max_points: int | None = None) -> Front:
        """The front found so far."""
        return self._fronts.of_search(self.id, pick=pick, k=k, max_points=max_points)


class Searches:
    """``client.searches``."""

    def __init__(
        self, connection: Connection, jobs: Jobs, fronts: Fronts, supernets: Supernets, targets: Targets
    ) -> None:
        self._connection, self._jobs, self._fronts = connection, jobs, fronts
        self._supernets, self._targets = supernets, targets

    def create(
        self,
        supernet: str,
        *,
        target: str | None = None,
        targets: Sequence[str] = (),
        constraints: Constraints = (),
        objectives: Sequence[str] | None = None,
        budget: int | Mapping[str, Any] = DEFAULT_EVALUATIONS,
        **more: Any,
    ) -> Search:
        """Start a search; ``supernet`` and targets by id or name.

        ``constraints`` is ``{"latency_ms": 20}`` (a limit in the metric's good direction),
        ``{"max_macs": 5e6, "min_accuracy": 0.9}``, or the API's list of ``{metric, target, max, min}``.
        Targets of limits are ids or names too. ``budget`` is a number of real evaluations or
        ``{evaluations, seconds}``. ``more`` goes to the API as it is: ``restrict``, ``confidence``, ``algorithm``,
        ``seed``, ``stall``, ``labels``, ``front`` (``shared`` or ``per_target``), ``predictors``.
        """
        problem = self._problem(supernet, target, targets, constraints)
        spend = {"evaluations": budget} if isinstance(budget, int) else dict(budget)
        body = {**problem, "objectives": _listed(objectives), "budget": spend, **more}
        return self.get(self._connection.post("/v1/searches", body)["id"])

    def extend(
        self,
        id: str,
        *,
        evaluations: int = 0,
        constraints: Constraints | None = None,
        objectives: Sequence[str] | None = None,
        **more: Any,
    ) -> Search:
        """See :meth:`Search.extend`."""
        limits = None
        if constraints is not None:
            limits = self._limits(constraints, self._supernets.get(self.get(id)["supernet"])["quality"])
        changes = {"constraints": limits, "objectives": _listed(objectives), **more}
        body = {"evaluations": evaluations, **changes}
        return self.get(self._connection.post(f"/v1/searches/{id}:extend", body)["id"])

    def profile(
        self,
        supernet: str,
        *,
        target: str | None = None,
        targets: Sequence[str] = (),
        constraints: Constraints = (),
        **more: Any,
    ) -> JSON:
        """The range of every metric and whether the constraints can be met; answers at once."""
        body = {**self._problem(supernet, target, targets, constraints), **more}
        return self._connection.post("/v1/searches:profile", body)

    def get(self, id: str) -> Search:
        """The search with this id."""
        return Search(self._connection.get(f"/v1/searches/{id}"), self, self._jobs, self._fronts)

    def list(
        self,
        *,
        supernet: str | None = None,
        state: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Iterator[Search]:
        """All searches, newest first; of this supernet (by id) and state, with all these labels."""
        wanted = [f"{name}={value}" for name, value in (labels or {}).items()]
        query = {"supernet": supernet, "state": state, "label": wanted or None}
        for row in self._connection.pages("/v1/searches", query):
            yield Search(row, self, self._jobs, self._fronts)

    def _problem(
        self, supernet: str, target: str | None, targets: Sequence[str], constraints: Constraints
    ) -> dict[str, Any]:
        net: Supernet = self._supernets.get(supernet)
        names = [*([target] if target else []), *targets]
        return {
            "supernet": net.id,
            "targets": [self._targets.get(name).id for name in names],
            "constraints": self._limits(constraints, net["quality"]),
        }

    def _limits(self, constraints: Constraints, quality: str) -> builtins.list[dict[str, Any]]:
        """The API's form, with targets by their ids."""
        rows = as_constraints(constraints, quality=quality)
        for row in rows:
            if row.get("target") is not None:
                row["target"] = self._targets.get(row["target"]).id
        return rows


def _listed(objectives: Sequence[str] | None) -> list[str] | None:
    return None if objectives is None else list(objectives)
