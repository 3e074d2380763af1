"""Searches: constraints in, a front out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Unpack

from netwright.client.constraints import Constraints, as_constraints
from netwright.client.fronts import Front, Fronts
from netwright.client.http import models, requests
from netwright.client.jobs import Pending
from netwright.client.metrics import Metrics
from netwright.client.resource import Collection, Deletable, Listing, Resource, checked
from netwright.client.supernets import Supernets
from netwright.client.targets import Targets, with_ids

DEFAULT_EVALUATIONS = 24


class Profile(Resource, models.ProfileView):
    """The range of every metric over a space, and whether constraints can be met."""

    shown: ClassVar[tuple[str, ...]] = ("satisfiable", "share", "sampled", "unmet", "missing")


class Comparison(Resource, models.CompareView):
    """Fronts of several searches, with a reference point for all; ``fronts[0]`` is the base."""

    shown: ClassVar[tuple[str, ...]] = ("objectives", "reference_point", "fronts")

    def row(self) -> dict[str, object]:
        """Hypervolume, new and best points of each front."""
        return {
            f"{each.search} {name}": getattr(each, name)
            for each in self.fronts
            for name in ("hypervolume", "new")
        }


class Search(Deletable, Pending, models.SearchView):
    """A search: ``state`` is that of its job; ``feasible`` is whether its constraints can be met."""

    path: ClassVar[str] = "/v1/searches"
    shown: ClassVar[tuple[str, ...]] = ("id", "state", "feasible", "points", "supernet", "created_at")

    def extend(
        self, *, constraints: Constraints | None = None, **options: Unpack[requests.ExtendOptions]
    ) -> Search:
        """A new search that continues from this one; nothing is evaluated or measured again.

        ``evaluations`` are added to those spent; with 0, the existing results are judged by other ``constraints`` (they
        replace the old ones) or ``objectives``.
        """
        limits = None if constraints is None else Searches(self._connection).limits(constraints)
        body = {"evaluations": 0, "constraints": limits, **checked(options, requests.ExtendOptions)}
        made = self._connection.post(f"{self.path}/{self.id}:extend", body)
        return Searches(self._connection).get(made["id"])

    def front(
        self,
        *,
        pick: str | None = None,
        k: int | None = None,
        max_points: int | None = None,
        target: str | None = None,
    ) -> Front:
        """The front found so far; see :meth:`Fronts.of_search`."""
        return Fronts(self._connection).of_search(
            self.id, pick=pick, k=k, max_points=max_points, target=target
        )


class Searches(Collection[Search]):
    """``client.searches``; supernets and targets by id or name.

    ``constraints`` is ``{"latency_ms": 20}`` (a limit in the metric's good direction), ``{"max_macs": 5e6,
    "min_accuracy": 0.9}``, ``{"latency_ms@pi": 20}`` (on one target), or the API's list of
    ``{metric, target, max, min}``.
    """

    kind, noun = Search, "search"

    def create(
        self,
        supernet: str,
        *,
        target: str | None = None,
        targets: Sequence[str] = (),
        constraints: Constraints = (),
        budget: int | requests.Budget = DEFAULT_EVALUATIONS,
        **options: Unpack[requests.SearchOptions],
    ) -> Search:
        """Start a search; ``budget`` is a number of evaluations or ``{evaluations, images, seconds}``."""
        body = {
            **self._problem(supernet, target, targets, constraints),
            "budget": {"evaluations": budget} if isinstance(budget, int) else dict(budget),
            **checked(options, requests.SearchOptions),
        }
        return self.get(self._connection.post(Search.path, body)["id"])

    def profile(
        self,
        supernet: str,
        *,
        target: str | None = None,
        targets: Sequence[str] = (),
        constraints: Constraints = (),
        **options: Unpack[requests.ProfileOptions],
    ) -> Profile:
        """The range of every metric and whether the constraints can be met; answers at once."""
        problem = self._problem(supernet, target, targets, constraints)
        body = {**problem, **checked(options, requests.ProfileOptions)}
        return Profile.of(self._connection, self._connection.post("/v1/searches:profile", body))

    def compare(self, *searches: str | Search, target: str | None = None) -> Comparison:
        """The fronts of two or more searches of one supernet side by side; the first is the base.

        ``target`` (id or name) selects the fronts, where the searches have one for each target. It must be one that
        all have, where their targets differ.
        """
        ids = [each.id if isinstance(each, Search) else each for each in searches]
        query = {"search": ids, **with_ids(self._connection, {"target": target})}
        return Comparison.of(self._connection, self._connection.get("/v1/searches:compare", query))

    def list(
        self, *, labels: Mapping[str, str] | None = None, **filters: Unpack[requests.SearchesQuery]
    ) -> Listing[Search]:
        """All searches that match, newest first; ``labels`` must all be equal."""
        query = with_ids(self._connection, checked(filters, requests.SearchesQuery))
        pairs = [*(filters.get("label") or ()), *(f"{k}={v}" for k, v in (labels or {}).items())]
        return self._listed({**query, "label": pairs or None})

    def limits(self, constraints: Constraints) -> Sequence[requests.ConstraintBody]:
        """Constraints in the API's form, with targets by their ids."""
        rows = as_constraints(constraints, Metrics(self._connection).directions) if constraints else []
        for row in rows:
            target = row.get("target")
            if target:
                row["target"] = Targets(self._connection).id_of(target)
        return rows

    def _problem(
        self, supernet: str, target: str | None, targets: Sequence[str], constraints: Constraints
    ) -> dict[str, object]:
        names = [*([target] if target else []), *targets]
        return {
            "supernet": Supernets(self._connection).id_of(supernet),
            "targets": [Targets(self._connection).id_of(name) for name in names],
            "constraints": self.limits(constraints),
        }
