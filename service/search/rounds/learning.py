"""The predictors of a search, and how they are refitted to what it evaluates."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pydantic import Field
from sqlalchemy.orm import Session

from predictors import PREDICTORS
from predictors.quality.gaussian_process import GaussianProcess
from predictors.quality.transfer import QualityTransfer
from service.db import queries
from service.db.tables import Predictor, Supernet
from service.predictors import tasks
from service.predictors.job import model_spec, own_models
from service.predictors.queries import worth_a_fit
from service.predictors.tasks import FitIn, FitOut, ModelSpec, PriorUse
from service.runtime.context import WorkContext
from service.runtime.task import StepData
from service.search.request.plan import Key
from service.search.request.schemas import PredictorEntry
from service.search.rounds.budget import FrontSize
from service.supernets.bench import BenchSpec


class Behind(StepData):
    """Predictors for which there are many new rows."""

    behind: list[Key]


class ModelVersion(StepData):
    """A refitted model."""

    metric: str
    target: str | None
    version: str
    rows: int
    priors: list[PriorUse] = Field(default_factory=list)


class Round(StepData):
    """The end of a round: when it was, in seconds, and the size of each front."""

    at: float
    history: list[FrontSize]


class Refitted(StepData):
    """Refitted models, and the round that ended with them."""

    models: list[ModelVersion]
    round: Round | None


class Learning:
    """``entries`` name the models that predict now."""

    def __init__(
        self,
        job: WorkContext,
        supernet: Supernet,
        bench: BenchSpec,
        entries: Sequence[PredictorEntry],
        *,
        elsewhere: bool = True,
    ) -> None:
        """Without ``elsewhere``, quality is fitted to this supernet's own evaluations only."""
        self._job, self._supernet, self._bench = job, supernet, bench
        self.elsewhere: list[PriorUse] = []
        """Evaluations by other supernets that are a prior of quality now."""
        self._replaced = [] if elsewhere else [e.key for e in entries if e.kind == QualityTransfer.name]
        self.entries = [
            e.model_copy(update={"kind": GaussianProcess.name}) if e.key in self._replaced else e
            for e in entries
        ]

    def keys(self) -> set[Key]:
        """Metrics and targets with a model."""
        return {entry.key for entry in self.entries}

    async def catch_up(self) -> None:
        """Before the first round, refit models for which the database has many new rows."""

        def look(session: Session) -> Behind:
            rows = {
                entry.key: queries.get(session, self._job.project, Predictor, entry.id)
                for entry in self.entries
            }
            behind = [key for key, row in rows.items() if worth_a_fit(session, row) or key in self._replaced]
            return Behind(behind=behind)

        # Recorded: when another worker continues the job, the database has more rows.
        behind = (await self._job.write("behind", look)).behind
        if behind:
            await self._job.report("fitting predictors to all stored rows")
            await self.relearn("fit existing rows", behind)

    async def refit(self, step: str, end_round: Callable[[Session], Round]) -> Round:
        """Refit every model to all rows there are now; what ``end_round`` writes and returns is recorded with it."""

        def store(session: Session, result: FitOut) -> Refitted:
            return self._kept(session, result, end_round(session))

        refitted = await self._job.step(step, tasks.fit, self._request(), store)
        self._use(refitted)
        assert refitted.round is not None
        return refitted.round

    async def relearn(self, step: str, keys: Sequence[Key]) -> None:
        """Refit the models of some metrics and targets between rounds."""

        def keep(session: Session, result: FitOut) -> Refitted:
            return self._kept(session, result, None)

        self._use(await self._job.step(step, tasks.fit, self._request(keys), keep))

    def _request(self, keys: Sequence[Key] | None = None) -> FitIn:
        """Models to refit to all rows there are now: all, or those of some metrics and targets.

        A model stays as it is where its kind needs more rows than there are.
        """
        with self._job.read() as session:
            specs = [
                model_spec(session, self._job, self._supernet, e.metric, e.target, e.kind, e.version)
                for e in self.entries
                if keys is None or e.key in keys
            ]
        models = [spec for spec in specs if _enough(spec)]
        return FitIn(bench=self._bench, models=models, report=False)

    def _kept(self, session: Session, result: FitOut, round: Round | None) -> Refitted:
        own_models(session, self._job.project, result.models)
        models = [
            ModelVersion(
                metric=model.metric,
                target=model.target,
                version=model.version,
                rows=model.rows,
                priors=model.priors,
            )
            for model in result.models
        ]
        return Refitted(models=models, round=round)

    def _use(self, refitted: Refitted) -> None:
        """Predict with these models from now on."""
        versions = {(model.metric, model.target): model.version for model in refitted.models}
        for model in refitted.models:
            if model.target is None:
                self.elsewhere = model.priors
        self.entries = [
            entry.model_copy(update={"version": versions.get(entry.key, entry.version)})
            for entry in self.entries
        ]


def _enough(spec: ModelSpec) -> bool:
    """Whether a model can be fitted to its rows."""
    kind = PREDICTORS.load(spec.kind)
    rows = len({tuple(row) for row in spec.population})
    return bool(kind.imported or rows >= kind.fewest_rows)
