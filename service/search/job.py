"""Job: search under hard limits. Rounds of propose, evaluate, measure, refit; then confirm, test, store.

Every step is recorded once, and what follows is computed from the records alone: a search that another worker
continues takes the same path. It begins with every evaluation that the database has of archs of its space: they
cost nothing, the algorithm receives them, and they may be on the front.
"""

from __future__ import annotations

import math

from sqlalchemy.orm import Session

from service.db import queries
from service.db.tables import Search, Supernet, now
from service.ids import new_id
from service.measurements.rows import unsupported_rows
from service.runtime.context import WorkContext
from service.runtime.task import Rows, StepData
from service.search.fronts.best import store_points
from service.search.fronts.views import with_noise
from service.search.request.plan import SearchParams, plan_keys
from service.search.request.schemas import ElsewhereUse, Provenance, SearchSpec
from service.search.rounds import propose
from service.search.rounds.budget import FrontSize, affordable, all_stalled, round_sizes, stop_rule
from service.search.rounds.history import SearchHistory
from service.search.rounds.judge import (
    Judgement,
    ReferenceEntry,
    candidates,
    inherited,
    judge,
    measure_fronts,
    reference_entries,
)
from service.search.rounds.learning import Learning, Round
from service.search.rounds.parts import Parts, SearchState
from service.search.rounds.points import (
    FinishedSearch,
    describe_nearest,
    front_points,
    outcome_of,
    warnings_of,
)
from service.search.rounds.propose import Proposed, ProposeIn, ReferenceIn, StoredValues
from service.search.rounds.stored import StoredEvaluations, stored_evaluations
from service.search.rounds.true_values import TrueValues
from service.supernets.bench import bench_of
from service.supernets.checkpoints import family_of
from service.version import VERSION
from supernets.metrics import LATENCY
from supernets.words import counted

HOPEFUL = 0.1  # a true violation below this is worth another round, whatever the predictors predict


class Prepared(StepData):
    """Active seconds of the job at the start, and the existing evaluations."""

    at: float
    known: StoredEvaluations


class Begun(StepData):
    """The size of each front before the first round."""

    history: list[FrontSize]


class Missed(StepData):
    """Whether the limits are missed by more than another round would make up for."""

    by_far: bool


class StoredFront(StepData):
    """How many points were stored, and whether anything is feasible."""

    points: int
    feasible: bool


async def run(job: WorkContext) -> None:
    """The whole search, top to bottom."""
    search = _open(job)
    await search.prepare()
    if search.budget:
        await search.learning.catch_up()
    stopped = "budget"
    for number, size in enumerate(round_sizes(search.budget, timed=search.seconds is not None)):
        size, spent = search.affordable(size)
        if size == 0:
            stopped = spent
            break
        proposed = await search.propose(number, size)
        if not proposed.population:
            stopped = "every subnet of the space is evaluated"
            break
        await search.evaluate(number)
        for target in search.targets:
            await search.measure(number, target)
        await search.refit(number)
        await search.parts.more(number)
        if len(search.history.last) < len(proposed.population):
            stopped = "the time is spent"
            break
        if proposed.hopeless and await search.missed(number):
            stopped = "no predictor leaves a chance that the limits can be met"
            break
        if proposed.exhausted:
            stopped = "every subnet of the space is evaluated"
            break
        if all_stalled(search.plans, search.sizes, stop_rule(search.spec)):
            stopped = "the front has stopped growing"
            break
    await search.decide()
    judgements = await search.confirm()
    await search.test(judgements)
    await search.store(judgements, stopped)
    job.outcome = outcome_of(judgements, search.history.spent, stopped)


def _open(job: WorkContext) -> SearchRun:
    params = job.parameters(SearchParams)
    with job.read() as session:
        search = queries.get(session, job.project, Search, params.search)
        supernet = queries.get(session, job.project, Supernet, search.supernet_id)
        before = None
        if search.extends_id is not None:
            before = queries.get(session, job.project, Search, search.extends_id)
        session.expunge_all()
    return SearchRun(job, params, search, supernet, before)


class SearchRun:
    """A search in progress: its request, its history, and the steps that add to it."""

    def __init__(
        self,
        job: WorkContext,
        params: SearchParams,
        search: Search,
        supernet: Supernet,
        before: Search | None,
    ) -> None:
        self.job, self.params, self.supernet, self.before = job, params, supernet, before
        self.search_id, self.plans = search.id, params.plans
        self.spec = SearchSpec.model_validate(search.spec)
        self.targets = self.spec.targets
        self.budget, self.seconds = self.spec.budget.evaluations, self.spec.budget.seconds
        self.family = family_of(supernet)
        measured = {metric for plan in self.plans for metric, target in plan_keys(plan) if target is not None}
        self.extras = sorted(measured - {LATENCY})
        d = self.family.space().d
        self.history = SearchHistory(
            supernet.quality,
            self.targets,
            lambda rows: self.family.costs(rows.reshape(len(rows), d)),
            self.extras,
        )
        self.bench = bench_of(job.settings, supernet)
        self.true = TrueValues(job, supernet, params, self.spec, self.extras)
        self.learning = Learning(job, supernet, self.bench, params.predictors, elsewhere=self.spec.elsewhere)
        self.references: list[list[float] | None] = []
        self.parts = Parts(
            job,
            supernet,
            self.spec,
            self.history,
            self.true,
            SearchState(
                problem=lambda: self._problem(self.spec.seed),
                references=lambda: self.references,
                relearn=lambda step: self.learning.relearn(step, [(supernet.quality, None)]),
                left=self._left,
            ),
        )
        self.began = self.reached = 0.0
        self.sizes: list[FrontSize] = []

    def _window(self, share: float, until: float) -> None:
        """Of the current round, the part that the next step stands for; confirming is the last evaluation."""
        size = len(self.history.last)
        start, most = self.history.spent - size, max(self.budget - 1, 0)
        self.job.window(
            min(int(start + share * size), most),
            min(int(start + until * size), most),
            max(self.budget, 1),
        )

    def _closing(self) -> None:
        """What comes after the rounds."""
        total = max(self.budget, 1)
        self.job.window(total - 1, total, total)

    # --- before the rounds -------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Gather the existing values, and fix the reference point of the hypervolume."""

        def gather(session: Session) -> Prepared:
            extends = self.before.id if self.before is not None else None
            known = stored_evaluations(
                session,
                self.job,
                self.supernet,
                self.targets,
                self.spec.restrict,
                extends,
                self.extras,
                parts=self.parts.first is not None,
            )
            row = queries.get(session, self.job.project, Search, self.search_id)
            row.reused = len(known.population)
            return Prepared(at=self.job.active_seconds(session), known=known)

        prepared = await self.job.write("prepare", gather)
        self.began = self.reached = prepared.at
        self.history.begin(prepared.known)
        stored = self.before.reference if self.before is not None else []
        self.references = inherited(self.plans, [ReferenceEntry.model_validate(row) for row in stored])
        self.job.window(0, 0, max(self.budget, 1))  # nothing of the budget is spent yet
        if any(reference is None for reference in self.references) and self._predictable():
            found = await self.job.step("reference", propose.reference, self._problem(self.spec.seed))
            pairs = zip(self.references, found.references, strict=True)
            self.references = [kept if kept is not None else made for kept, made in pairs]

        def begin(session: Session) -> Begun:
            sizes = self._front_sizes(0.0)
            row = queries.get(session, self.job.project, Search, self.search_id)
            row.reference = [entry.model_dump() for entry in reference_entries(self.plans, self.references)]
            row.history = [size.model_dump() for size in sizes]
            return Begun(history=sizes)

        self.sizes = (await self.job.write("begin", begin)).history

    def _predictable(self) -> bool:
        """Whether every metric of the plans has a predictor; one is missing only where nothing is proposed."""
        return all(key in self.learning.keys() for plan in self.plans for key in plan_keys(plan))

    def _problem(self, seed: int) -> ReferenceIn:
        """What proposing needs: plans, predictors, and everything evaluated."""
        columns, errors = self.parts.expected()
        return ReferenceIn(
            bench=self.bench,
            plans=self.plans,
            predictors=self.learning.entries,
            evaluated=self.history.rows + self._unsupported(),
            values=[
                StoredValues(
                    metric=metric,
                    target=target,
                    values=[float(value) if math.isfinite(value) else None for value in column],
                )
                for (metric, target), column in columns.items()
            ],
            seed=seed,
            errors=errors.tolist() if errors.any() else [],
        )

    def _unsupported(self) -> Rows:
        """What the runtime of a target cannot run is not proposed."""
        with self.job.read() as session:
            return unsupported_rows(session, self.job, self.supernet, self.targets)

    def _front_sizes(self, seconds: float) -> list[FrontSize]:
        values = self.history.values(confirmed=False)
        spent = self.history.spent, self.history.images
        return measure_fronts(self.plans, values, self.references, spent, seconds)

    def affordable(self, size: int) -> tuple[int, str]:
        """How many of the next ``size`` evaluations the time and the images allow, and what is spent if none."""
        seconds = None if self.seconds is None else self.parts.share_of_rounds * self.seconds
        in_time = affordable(size, seconds, self.reached - self.began, self.history.spent)
        return (self.parts.affordable(in_time), "budget") if in_time else (0, "the time is spent")

    # --- a round -----------------------------------------------------------------------------------

    def _left(self, share: float) -> float | None:
        """Seconds of a share of the budget that are left; only time under a living worker is spent."""
        if self.seconds is None:
            return None
        with self.job.read() as session:
            spent = self.job.active_seconds(session) - self.began
        return max(share * self.seconds - spent, 0.0)

    def _left_of_rounds(self) -> float | None:
        """Seconds for which a round may start something new."""
        return self._left(self.parts.share_of_rounds)

    async def propose(self, number: int, size: int) -> Proposed:
        """Choose what to evaluate, and keep what the predictors predict of it before it is evaluated."""
        self._window(1.0, 1.0)
        await self.job.report(f"round {number + 1}: choosing {counted(size, 'subnet')}")
        plans = len(self.plans)
        request = ProposeIn(
            **dict(self._problem(self.spec.seed + 1000 * number)),
            counts=[size // plans + (index < size % plans) for index in range(plans)],
            algorithm=self.spec.algorithm,
        )
        proposed = await self.job.step(f"propose {number}", propose.propose, request)
        self.history.add(proposed.population, proposed.predicted)
        return proposed

    async def evaluate(self, number: int) -> None:
        """Quality of the round's subnets on validation; what is stored already is not computed again."""
        self._window(0.1, 0.4)
        found = await self.parts.evaluate(
            number, self.history.last, f"round {number + 1}", self._left_of_rounds()
        )
        self.history.keep(len(found))
        self.history.set_quality(found)
        if number == 0:
            await self.parts.compare()

    async def measure(self, number: int, target: str) -> None:
        """Latency of the round's subnets on a target; what was measured there before is not measured again."""
        rows = self.history.last
        step = f"measure {number} {target}"
        timings = await self.true.stored_timings(f"known {number} {target}", target, rows)
        unknown = [index for index, timing in enumerate(timings) if timing is None]
        self._window(0.4, 0.9)
        await self.job.report(f"round {number + 1}: measuring {counted(len(unknown), 'subnet')}")
        fresh = await self.true.timings(
            step, target, [rows[index] for index in unknown], seconds=self._left_of_rounds()
        )
        for index, timing in zip(unknown, fresh, strict=False):
            timings[index] = timing
        # Where the time ran out, what was not measured on every target is no evaluation.
        count = next((index for index, timing in enumerate(timings) if timing is None), len(timings))
        self.history.keep(count)
        whole = [timing for timing in timings[:count] if timing is not None]
        self.history.set_timings(target, rows[:count], whole, confirmed=False)

    async def refit(self, number: int) -> None:
        """Refit every predictor to all rows there are now; the next round uses these."""

        def end_round(session: Session) -> Round:
            at = self.job.active_seconds(session)
            sizes = self._front_sizes(at - self.began)
            row = queries.get(session, self.job.project, Search, self.search_id)
            row.evaluations = self.history.spent
            row.history = [size.model_dump() for size in (*self.sizes, *sizes)]
            return Round(at=at, history=sizes)

        self._window(0.9, 1.0)
        await self.job.report(f"round {number + 1}: refitting predictors")
        ended = await self.learning.refit(f"fit {number}", end_round)
        self.reached = ended.at
        self.sizes = [*self.sizes, *ended.history]

    async def missed(self, number: int) -> bool:
        """Whether everything measured misses the limits by far. Recorded: other jobs change what is expected."""
        values, _ = self.parts.expected()
        by_far = min(judge(plan, values).least_violation for plan in self.plans) > HOPEFUL

        def record(_session: Session) -> Missed:
            return Missed(by_far=by_far)

        return (await self.job.write(f"missed {number}", record)).by_far

    # --- the end -----------------------------------------------------------------------------------

    async def decide(self) -> None:
        """Evaluate on all images what may still be on the front."""
        self._closing()
        await self.parts.last()

        def end(session: Session) -> Begun:
            at = self.job.active_seconds(session)
            sizes = self._front_sizes(at - self.began)
            row = queries.get(session, self.job.project, Search, self.search_id)
            row.history = [size.model_dump() for size in (*self.sizes, *sizes)]
            return Begun(history=sizes)

        if self.parts.first is not None and self.history.round_sizes:
            self.sizes = [*self.sizes, *(await self.job.write("decided", end)).history]

    async def confirm(self) -> list[Judgement]:
        """Measure the candidates again, all in one run that had no part in choosing them, and judge by that."""
        for attempt in range(2):
            rows = candidates(self.plans, self.history, wide=attempt > 0)
            if attempt > 0 and not rows:
                break
            self._closing()
            await self.job.report(f"confirming {counted(len(rows), 'subnet')}")
            for target in self.targets:
                timings = await self.true.confirmations(f"confirm {attempt} {target}", target, rows)
                self.history.set_timings(target, rows, timings, confirmed=True)
            if not self.targets:
                self.history.confirm_without_target(rows)
            judgements = [judge(plan, self.history.values(confirmed=True)) for plan in self.plans]
            if all(judgement.front for judgement in judgements):
                break
        return judgements

    async def test(self, judgements: list[Judgement]) -> None:
        """Quality on the test split, of what is returned and of nothing else."""
        chosen = sorted({index for judgement in judgements for index in judgement.returned})
        self._closing()
        found = await self.true.quality("test", [self.history.rows[i] for i in chosen], "test", "testing")
        self.history.set_test(chosen, found.evaluations)

    async def store(self, judgements: list[Judgement], stopped: str) -> None:
        """Write the front, whether it is feasible, and its provenance."""

        def store(session: Session) -> StoredFront:
            job, supernet, history = self.job, self.supernet, self.history
            finished = FinishedSearch(self.search_id, job, supernet, judgements, history)
            fronts = front_points(session, finished)
            rows = [
                {
                    "id": new_id("pnt"),
                    "project_id": job.project,
                    "search_id": self.search_id,
                    "supernet_id": supernet.id,
                    "subnet_id": point.subnet,
                    "scope": judgement.plan.scope,
                    "rank": rank,
                    "body": point.model_dump(mode="json"),
                }
                for judgement, points in zip(judgements, fronts, strict=True)
                for rank, point in enumerate(points)
            ]
            store_points(session, supernet, rows)
            search = queries.get(session, job.project, Search, self.search_id)
            nearest = describe_nearest(session, finished)
            search.nearest = None if nearest is None else nearest.model_dump(mode="json")
            search.feasible = any(judgement.front for judgement in judgements)
            noise = [
                note if len(judgements) == 1 else f"target {judgement.plan.scope}: {note}"
                for judgement, points in zip(judgements, fronts, strict=True)
                if (note := with_noise(points)[1]) is not None
            ]
            search.warnings = [*warnings_of(judgements, history, stopped), *noise]
            search.provenance = self._provenance(stopped).model_dump(mode="json")
            search.evaluations = history.spent
            search.finished_at = now()
            return StoredFront(points=len(rows), feasible=search.feasible)

        await self.job.write("store", store)

    def _provenance(self, stopped: str) -> Provenance:
        return Provenance(
            version=VERSION,
            weights_sha256=self.supernet.weights_sha256,
            data=self.supernet.manifest["data"],
            algorithm=self.spec.algorithm,
            seed=self.spec.seed,
            stopped=stopped,
            extends=self.before.id if self.before is not None else None,
            reused=self.history.reused,
            rounds=self.history.round_sizes,
            predictors_before=self.params.predictors,
            predictors_after=self.learning.entries,
            elsewhere=[ElsewhereUse(**each.model_dump()) for each in self.learning.elsewhere],
        )
