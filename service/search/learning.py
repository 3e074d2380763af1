"""The predictors that a search asks, and how they learn from what becomes known on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.orm import Session

from predictors import PREDICTORS
from service.db import queries
from service.db.tables import Predictor, Supernet
from service.predictors.job import TASK as FIT_TASK
from service.predictors.job import own_model, wanted_model
from service.predictors.staleness import worth_a_fit
from service.runtime.context import WorkContext

Json = dict[str, Any]
WANTED = ("metric", "target", "kind", "version")
RECORDED = ("metric", "target", "version", "rows")


class Learning:
    """``entries`` name the models to ask now, by ``metric``, ``target``, ``kind`` and ``version``."""

    def __init__(self, job: WorkContext, supernet: Supernet, bench: Json, entries: Sequence[Json]) -> None:
        self._job, self._supernet, self._bench = job, supernet, bench
        self.entries = list(entries)

    def knows(self) -> set[tuple[str, str | None]]:
        """Metrics and targets that there is a model of."""
        return {(entry["metric"], entry["target"]) for entry in self.entries}

    async def catch_up(self) -> None:
        """Fit models that know much less than the database does, before the first round asks them."""

        def look(session: Session, _result: Json) -> Json:
            behind = []
            for entry in self.entries:
                row = queries.get(session, self._job.project, Predictor, entry["id"])
                if worth_a_fit(session, row):
                    behind.append([entry["metric"], entry["target"]])
            return {"behind": behind}

        # Recorded: a job that is taken over comes back to a database that knows more.
        behind = (await self._job.write("behind", look))["behind"]
        if behind:
            await self._job.say("fitting predictors to all that is known")
            payload = self._payload([tuple(key) for key in behind])
            self._use(await self._job.step("fit known", FIT_TASK, payload, self._kept))

    async def refit(self, step: str, more: Callable[[Session], Json]) -> Json:
        """Fit every model to all rows there are now; what ``more`` writes and returns is recorded with it."""

        def store(session: Session, result: Json) -> Json:
            return {**more(session), **self._kept(session, result)}

        result = await self._job.step(step, FIT_TASK, self._payload(), store)
        self._use(result)
        return result

    def _payload(self, keys: Sequence[tuple[str, str | None]] | None = None) -> Json:
        """Models to fit to all rows there are now, all or those of some metrics and targets.

        One that knows more than the rows here say, with too few of these, stays as it is.
        """
        entries = [e for e in self.entries if keys is None or (e["metric"], e["target"]) in keys]
        with self._job.read() as session:
            every = [
                wanted_model(session, self._job, self._supernet, *(entry[name] for name in WANTED))
                for entry in entries
            ]
        models = [model for model in every if _enough(model)]
        return {"bench": self._bench, "models": models, "report": False}

    def _kept(self, session: Session, result: Json) -> Json:
        """What is recorded of fitted models."""
        for model in result["models"]:
            own_model(session, self._job.project, model)
        return {"models": [{name: model[name] for name in RECORDED} for model in result["models"]]}

    def _use(self, fitted: Json) -> None:
        """Ask these models from now on."""
        versions = {(model["metric"], model["target"]): model["version"] for model in fitted["models"]}
        self.entries = [
            {**entry, "version": versions.get((entry["metric"], entry["target"]), entry["version"])}
            for entry in self.entries
        ]


def _enough(wanted: Json) -> bool:
    """Whether a model can be fitted to its rows."""
    kind = PREDICTORS.load(wanted["kind"])
    rows = len({tuple(row) for row in wanted["population"]})
    return bool(kind.imported or rows >= kind.fewest_rows)
