"""Job: search under hard limits. Rounds of propose, evaluate, measure, refit; then confirm, test, store.

Every step is recorded once, and what follows is computed from the records alone: a search that another
worker takes over goes the same way. It begins with every evaluation that the database has of archs of its
space: they cost nothing, the algorithm is told of them, and they may be on the front.
"""

from __future__ import annotations

import math
import time
from typing import Any

from sqlalchemy.orm import Session

from service.db import queries
from service.db.tables import Point, Search, Supernet, now
from service.ids import new_id
from service.measurements.rows import (
    bench_of,
    population_of,
    store_evaluations,
    store_timings,
    unsupported_rows,
)
from service.measuring.measure import measure
from service.runtime.context import WorkContext
from service.search.history import all_stalled, inherited, measure_fronts, reference_view, stop_rule
from service.search.judge import Judgement, candidates, judge
from service.search.learning import Learning
from service.search.plan import plan_keys
from service.search.points import describe_nearest, front_points, outcome_of, warnings_of
from service.search.reuse import known_quality, known_timings, whole_evaluations
from service.search.rounds import affordable, round_sizes
from service.search.trail import Row, Trail
from service.supernets.checkpoints import family_of
from service.version import VERSION

Json = dict[str, Any]
HOPEFUL = 0.1  # a true violation below this is worth another round, whatever the predictors say


async def run(job: WorkContext) -> None:
    """The whole search, top to bottom."""
    hunt = _open(job)
    await hunt.prepare()
    if hunt.budget:
        await hunt.learning.catch_up()
    stopped = "budget"
    for number, size in enumerate(round_sizes(hunt.budget, timed=hunt.seconds is not None)):
        size = affordable(size, hunt.seconds, hunt.reached - hunt.began, hunt.trail.spent)
        if size == 0:
            stopped = "the time is spent"
            break
        proposed = await hunt.propose(number, size)
        if not proposed["population"]:
            stopped = "every subnet of the space is evaluated"
            break
        await hunt.evaluate(number)
        for target in hunt.targets:
            await hunt.measure(number, target)
        await hunt.refit(number)
        if len(hunt.trail.last) < len(proposed["population"]):
            stopped = "the time is spent"
            break
        if proposed["hopeless"] and hunt.least_violation() > HOPEFUL:
            stopped = "no predictor leaves a chance that the limits can be met"
            break
        if proposed["exhausted"]:
            stopped = "every subnet of the space is evaluated"
            break
        if all_stalled(hunt.plans, hunt.history, stop_rule(hunt.spec)):
            stopped = "the front has stopped growing"
            break
    judgements = await hunt.confirm()
    await hunt.test(judgements)
    await hunt.store(judgements, stopped)
    job.outcome = outcome_of(judgements, hunt.trail.spent, stopped)


def _open(job: WorkContext) -> Hunt:
    with job.read() as session:
        search = queries.get(session, job.project, Search, job.params["search"])
        supernet = queries.get(session, job.project, Supernet, search.supernet_id)
        before = None
        if search.extends_id is not None:
            before = queries.get(session, job.project, Search, search.extends_id)
        session.expunge_all()
    return Hunt(job, search, supernet, before)


class Hunt:
    """A search on its way: what is asked, what is known, and the steps that add to it."""

    def __init__(self, job: WorkContext, search: Search, supernet: Supernet, before: Search | None) -> None:
        self.job, self.supernet, self.search_id, self.before = job, supernet, search.id, before
        self.spec, self.plans = search.spec, job.params["plans"]
        self.targets: list[str] = self.spec["targets"]
        self.budget: int = self.spec["budget"]["evaluations"]
        self.seconds: float | None = self.spec["budget"]["seconds"]
        self.quality: str = supernet.manifest["quality"]
        self.family = family_of(supernet)
        measured = {metric for plan in self.plans for metric, target in plan_keys(plan) if target is not None}
        self.extras = sorted(measured - {"latency_ms"})
        d = self.family.space().d
        self.trail = Trail(
            self.quality,
            self.targets,
            lambda rows: self.family.costs(rows.reshape(len(rows), d)),
            self.extras,
        )
        self.bench = bench_of(job, supernet)
        self.learning = Learning(job, supernet, self.bench, job.params["predictors"])
        self.seed: int = self.spec["seed"]
        self.began = self.reached = 0.0
        self.references: list[list[float] | None] = []
        self.history: list[Json] = []

    def _window(self, share: float, until: float) -> None:
        """Of the round being done, the part that the next step stands for; confirming is the last evaluation."""
        size = len(self.trail.last)
        start, most = self.trail.spent - size, max(self.budget - 1, 0)
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
        """Gather what is known, and fix the reference point of the hypervolume."""

        def gather(session: Session, _result: Json) -> Json:
            before = self.before.id if self.before is not None else None
            known = whole_evaluations(
                session, self.job, self.supernet, self.targets, self.spec, before, self.extras
            )
            row = queries.get(session, self.job.project, Search, self.search_id)
            row.reused = len(known["population"])
            return {"at": time.time(), "known": known}

        prepared = await self.job.write("prepare", gather)
        self.began = self.reached = prepared["at"]
        self.trail.begin(prepared["known"])
        self.references = inherited(self.plans, self.before.reference if self.before is not None else [])
        if any(reference is None for reference in self.references) and self._predictable():
            payload = {**self._problem(), "seed": self.seed}
            found = await self.job.step("reference", "service.search.propose:reference", payload)
            given = zip(self.references, found["references"], strict=True)
            self.references = [kept if kept is not None else made for kept, made in given]

        def begin(session: Session, _result: Json) -> Json:
            row = queries.get(session, self.job.project, Search, self.search_id)
            row.reference = reference_view(self.plans, self.references)
            row.history = self._measured_fronts(0.0)
            return {"history": row.history}

        self.history = (await self.job.write("begin", begin))["history"]

    def _predictable(self) -> bool:
        """Whether every metric in play has a predictor; one is missing only where nothing is to be proposed."""
        return all(key in self.learning.knows() for plan in self.plans for key in plan_keys(plan))

    def _problem(self) -> Json:
        """What proposing needs to know: plans, predictors, and all that was seen."""
        columns = self.trail.values(confirmed=False)
        return {
            "bench": self.bench,
            "plans": self.plans,
            "predictors": self.learning.entries,
            "evaluated": self.trail.rows + self._unsupported(),
            "values": [
                {
                    "metric": metric,
                    "target": target,
                    "values": [float(value) if math.isfinite(value) else None for value in column],
                }
                for (metric, target), column in columns.items()
            ],
        }

    def _unsupported(self) -> list[Row]:
        """What some target's runtime cannot run is not proposed."""
        with self.job.read() as session:
            return unsupported_rows(session, self.job, self.supernet, self.targets)

    def _measured_fronts(self, seconds: float) -> list[Json]:
        values = self.trail.values(confirmed=False)
        return measure_fronts(self.plans, values, self.references, self.trail.spent, seconds)

    # --- a round -----------------------------------------------------------------------------------

    def _until(self) -> float | None:
        """When nothing new may be begun."""
        return None if self.seconds is None else self.began + self.seconds

    async def propose(self, number: int, size: int) -> Json:
        """Choose what to evaluate, and keep what the predictors say of it before it is seen."""
        self._window(1.0, 1.0)
        await self.job.say(f"round {number + 1}: choosing {size} subnets")
        payload = {
            **self._problem(),
            "counts": [
                size // len(self.plans) + (i < size % len(self.plans)) for i in range(len(self.plans))
            ],
            "seed": self.seed + 1000 * number,
            "algorithm": self.spec["algorithm"],
        }
        result = await self.job.step(f"propose {number}", "service.search.propose:propose", payload)
        self.trail.add(result["population"], result["predicted"])
        return result

    async def evaluate(self, number: int) -> None:
        """Quality of the round's subnets on validation; what is stored already is not computed again."""
        step = f"evaluate {number}"
        self._window(0.1, 0.4)
        found = await self._evaluated(
            step, self.trail.last, "validation", f"round {number + 1}", self._until()
        )
        self.trail.keep(len(found))
        self.trail.set_quality(found)

    async def _evaluated(
        self, step: str, rows: list[Row], split: str, doing: str, until: float | None = None
    ) -> list[Json]:
        """Quality of rows on a split, in their order, of fewer where the time ran out."""
        population = population_of(self.family, rows)
        with self.job.read() as session:
            known = known_quality(session, self.job, self.supernet, split)
        archs = self.family.space().decode(population)
        unknown = [index for index, arch in enumerate(archs) if arch.id not in known]

        def store(session: Session, result: Json) -> Json:
            fresh = result["evaluations"]
            done = population[unknown[: len(fresh)]]
            store_evaluations(session, self.job, self.supernet, step, done, fresh)
            by_index = dict(zip(unknown, fresh, strict=False))
            found = []
            for index, arch in enumerate(archs):
                evaluation = by_index.get(index) or known.get(arch.id)
                if evaluation is None:
                    break  # out of time from here on
                found.append(evaluation)
            return {"evaluations": found}

        await self.job.say(f"{doing}: evaluating {len(unknown)} subnets on {split}")
        payload = {
            "bench": self.bench,
            "population": population[unknown].tolist(),
            "split": split,
            "until": until,
        }
        result = await self.job.step(step, "service.subnets.tasks:evaluate", payload, store)
        return list(result["evaluations"])

    async def measure(self, number: int, target: str) -> None:
        """Latency of the round's subnets on a target; what was measured there before is not measured again."""
        rows = self.trail.last
        step = f"measure {number} {target}"

        def look(session: Session, _result: Json) -> Json:
            known = known_timings(session, self.job, self.supernet, target, self.extras)
            archs = self.family.space().decode(population_of(self.family, rows))
            return {"timings": [known.get(arch.id) for arch in archs]}

        # Recorded, as a job that waits for devices comes back to a database that knows more.
        known = (await self.job.write(f"known {number} {target}", look))["timings"]
        unknown = [index for index, timing in enumerate(known) if timing is None]
        self._window(0.4, 0.9)
        await self.job.say(f"round {number + 1}: measuring {len(unknown)} subnets")
        fresh = await self._timed(step, target, [rows[index] for index in unknown])
        for index, timing in zip(unknown, fresh, strict=False):
            known[index] = timing
        # Out of time: what was not measured on every target is no evaluation.
        count = next((index for index, timing in enumerate(known) if timing is None), len(known))
        self.trail.keep(count)
        self.trail.set_timings(target, rows[:count], known[:count], confirmed=False)

    async def _timed(self, step: str, target: str, rows: list[Row], *, together: bool = False) -> list[Json]:
        """Time rows on a target; none came back where the time ran out."""
        if not rows:
            return []
        population = population_of(self.family, rows)

        def store(session: Session, result: Json) -> Json:
            if result["timings"]:
                store_timings(session, self.job, self.supernet, target, step, population, result)
            pairs = zip(result["timings"], result["extras"], strict=True)
            return {"timings": [self._with_extras(timing, extra) for timing, extra in pairs]}

        result = await measure(
            self.job,
            step,
            self.supernet,
            target,
            rows,
            self.seed,
            store,
            metrics=["latency_ms", *self.extras],
            together=together,
            until=None if together else self._until(),
        )
        return list(result["timings"])

    def _with_extras(self, timing: Json, extra: Json) -> Json:
        return {**timing, "extras": {name: extra[name] for name in self.extras if name in extra}}

    async def refit(self, number: int) -> None:
        """Fit every predictor to all rows there are now; the next round uses these."""

        def note(session: Session) -> Json:
            at = time.time()
            history = self._measured_fronts(at - self.began)
            row = queries.get(session, self.job.project, Search, self.search_id)
            row.evaluations, row.history = self.trail.spent, [*self.history, *history]
            return {"at": at, "history": history}

        self._window(0.9, 1.0)
        await self.job.say(f"round {number + 1}: refitting predictors")
        result = await self.learning.refit(f"fit {number}", note)
        self.reached = result["at"]
        self.history = [*self.history, *result["history"]]

    def least_violation(self) -> float:
        """How near the limits anything truly measured came, 0 when it met them."""
        values = self.trail.values(confirmed=False)
        return min(judge(plan, values).least_violation for plan in self.plans)

    # --- the end -----------------------------------------------------------------------------------

    async def confirm(self) -> list[Judgement]:
        """Measure the candidates anew, all in one run that had no part in choosing them, and judge by that."""
        for attempt in range(2):
            rows = candidates(self.plans, self.trail, wide=attempt > 0)
            if attempt > 0 and not rows:
                break
            self._closing()
            await self.job.say(f"confirming {len(rows)} subnets")
            for target in self.targets:
                timings = await self._timed(f"confirm {attempt} {target}", target, rows, together=True)
                self.trail.set_timings(target, rows, timings, confirmed=True)
            if not self.targets:
                self.trail.confirm_without_target(rows)
            judgements = [judge(plan, self.trail.values(confirmed=True)) for plan in self.plans]
            if all(judgement.front for judgement in judgements):
                break
        return judgements

    async def test(self, judgements: list[Judgement]) -> None:
        """Quality on the test split, of what is returned and of nothing else."""
        chosen = sorted({index for judgement in judgements for index in judgement.returned})
        self._closing()
        found = await self._evaluated("test", [self.trail.rows[i] for i in chosen], "test", "testing")
        self.trail.set_test(chosen, found)

    async def store(self, judgements: list[Judgement], stopped: str) -> None:
        """Write the front, whether it is feasible, and where it all comes from."""

        def store(session: Session, _result: Json) -> Json:
            bodies = front_points(session, self.job, self.supernet, self.search_id, judgements, self.trail)
            rows = [
                {
                    "id": new_id("pnt"),
                    "project_id": self.job.project,
                    "search_id": self.search_id,
                    "supernet_id": self.supernet.id,
                    "subnet_id": body["subnet"],
                    "scope": judgement.plan["scope"],
                    "rank": rank,
                    "body": body,
                }
                for judgement, points in zip(judgements, bodies, strict=True)
                for rank, body in enumerate(points)
            ]
            queries.insert_new(session, Point, rows)
            search = queries.get(session, self.job.project, Search, self.search_id)
            search.feasible = any(judgement.front for judgement in judgements)
            search.nearest = describe_nearest(
                session, self.job, self.supernet, self.search_id, judgements, self.trail
            )
            search.warnings = warnings_of(judgements, self.trail, stopped)
            search.provenance = self._provenance(stopped)
            search.evaluations = self.trail.spent
            search.finished_at = now()
            return {"points": len(rows), "feasible": search.feasible}

        await self.job.write("store", store)

    def _provenance(self, stopped: str) -> Json:
        return {
            "version": VERSION,
            "weights_sha256": self.supernet.weights_sha256,
            "data": self.supernet.manifest["data"],
            "algorithm": self.spec["algorithm"],
            "seed": self.seed,
            "stopped": stopped,
            "extends": self.before.id if self.before is not None else None,
            "reused": self.trail.reused,
            "rounds": self.trail.round_sizes,
            "predictors_before": self.job.params["predictors"],
            "predictors_after": self.learning.entries,
        }
