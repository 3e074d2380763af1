"""Job: search under hard limits. Rounds of propose, evaluate, measure, refit; then confirm, test, store.

Every step is recorded once, and what follows is computed from the records alone: a search that another
worker takes over goes the same way.
"""

from __future__ import annotations

import math
import time
from typing import Any

from sqlalchemy.orm import Session

from service.checkpoints import family_of
from service.db import queries
from service.db.tables import Point, Search, Supernet, now
from service.ids import new_id
from service.jobs.fit import TASK as FIT_TASK
from service.jobs.fit import own_model, wanted_model
from service.jobs.judge import Judgement, candidates, judge
from service.jobs.measuring import measure
from service.jobs.points import describe_nearest, front_points, warnings_of
from service.jobs.rows import (
    bench_of,
    population_of,
    store_evaluations,
    store_timings,
    unsupported_rows,
)
from service.jobs.run import JobRun
from service.jobs.trail import Trail
from service.problems import scope_of
from service.version import VERSION

Json = dict[str, Any]
ROUND = 8
MOST_ROUNDS = 8
CLOSING = 6  # what confirming and testing take of the progress, in evaluations
HOPEFUL = 0.1  # a true violation below this is worth another round, whatever the predictors say


async def run(job: JobRun) -> None:
    """The whole search, top to bottom."""
    hunt = _open(job)
    began = (await job.write("prepare", lambda _session, _result: {"at": time.time()}))["at"]
    stopped = "budget"
    for number, size in enumerate(round_sizes(hunt.budget)):
        proposed = await hunt.propose(number, size)
        if not proposed["population"]:
            stopped = "every subnet of the space is evaluated"
            break
        await hunt.evaluate(number)
        for target in hunt.targets:
            await hunt.measure(f"measure {number} {target}", target, hunt.trail.last)
        finished = await hunt.refit(number)
        if proposed["hopeless"] and hunt.least_violation() > HOPEFUL:
            stopped = "no predictor leaves a chance that the limits can be met"
            break
        if hunt.seconds is not None and finished["at"] - began >= hunt.seconds:
            stopped = "the time is spent"
            break
    judgements = await hunt.confirm()
    await hunt.test(judgements)
    await hunt.store(judgements, stopped)


def round_sizes(budget: int) -> list[int]:
    """How many evaluations each round gets."""
    rounds = min(MOST_ROUNDS, math.ceil(budget / ROUND))
    return [budget // rounds + (index < budget % rounds) for index in range(rounds)]


def _open(job: JobRun) -> Hunt:
    with job.read() as session:
        search = queries.get(session, job.project, Search, job.params["search"])
        supernet = queries.get(session, job.project, Supernet, search.supernet_id)
        session.expunge_all()
    return Hunt(job, search, supernet)


class Hunt:
    """A search on its way: what is asked, what is known, and the steps that add to it."""

    def __init__(self, job: JobRun, search: Search, supernet: Supernet) -> None:
        self.job, self.supernet, self.search_id = job, supernet, search.id
        self.spec, self.plans = search.spec, job.params["plans"]
        self.predictors: list[Json] = job.params["predictors"]
        self.targets: list[str] = self.spec["targets"]
        self.budget: int = self.spec["budget"]["evaluations"]
        self.seconds: float | None = self.spec["budget"]["seconds"]
        self.quality: str = supernet.manifest["quality"]
        self.family = family_of(supernet)
        self.trail = Trail(self.quality, self.targets, self.family.costs)
        self.bench = bench_of(job, supernet)
        self.seed: int = self.spec["seed"]

    def _window(self, share: float, until: float) -> None:
        """Of the round being done, the part that the next step stands for."""
        size = len(self.trail.last)
        start = len(self.trail.rows) - size
        self.job.window(int(start + share * size), int(start + until * size), self.budget + CLOSING)

    # --- a round -----------------------------------------------------------------------------------

    async def propose(self, number: int, size: int) -> Json:
        """Choose what to evaluate, and keep what the predictors say of it before it is seen."""
        self.job.window(len(self.trail.rows), len(self.trail.rows), self.budget + CLOSING)
        await self.job.say(f"round {number + 1}: choosing {size} subnets")
        share = [size // len(self.plans) + (i < size % len(self.plans)) for i in range(len(self.plans))]
        payload = {
            "bench": self.bench,
            "plans": self.plans,
            "predictors": self.predictors,
            "evaluated": self.trail.rows + self._unsupported(),
            "counts": share,
            "seed": self.seed + 1000 * number,
            "algorithm": self.spec["algorithm"],
        }
        result = await self.job.step(f"propose {number}", "service.jobs.work:propose", payload)
        self.trail.add(result["population"], result["predicted"])
        return result

    def _unsupported(self) -> list[list[int]]:
        """What some target's runtime cannot run is not proposed."""
        with self.job.read() as session:
            return unsupported_rows(session, self.job, self.supernet, self.targets)

    async def evaluate(self, number: int) -> None:
        """Quality of the round's subnets on validation; what is stored already is not computed again."""
        population = population_of(self.family, self.trail.last)
        known = self._known_quality()
        archs = self.family.space().decode(population)
        unknown = [index for index, arch in enumerate(archs) if arch.id not in known]
        step = f"evaluate {number}"

        def store(session: Session, result: Json) -> Json:
            fresh = result["evaluations"]
            store_evaluations(session, self.job, self.supernet, step, population[unknown], fresh)
            by_index = dict(zip(unknown, fresh, strict=True))
            found = [by_index.get(i) or known[arch.id] for i, arch in enumerate(archs)]
            return {"evaluations": found}

        self._window(0.1, 0.4)
        await self.job.say(f"round {number + 1}: evaluating {len(unknown)} subnets on validation")
        payload = {"bench": self.bench, "population": population[unknown].tolist(), "split": "validation"}
        result = await self.job.step(step, "service.jobs.work:evaluate", payload, store)
        self.trail.set_quality(result["evaluations"])

    def _known_quality(self) -> dict[str, Json]:
        with self.job.read() as session:
            rows = queries.measured_rows(
                session, self.job.project, self.supernet.id, self.quality, scope_of(None)
            )
            space = self.family.space()
            return {
                space.arch(arch).id: {
                    "metric": row.metric,
                    "value": row.value,
                    "standard_error": row.spread,
                    "n": row.n,
                    "split": row.split,
                    "precision": row.precision,
                }
                for arch, row in rows
            }

    async def measure(self, step: str, target: str, rows: list[list[int]]) -> None:
        """Latency of rows on a target, all in one interleaved run."""
        population = population_of(self.family, rows)

        def store(session: Session, result: Json) -> Json:
            store_timings(session, self.job, self.supernet, target, step, population, result)
            return {"timings": result["timings"]}

        confirming = step.startswith("confirm")
        if confirming:
            self.job.window(self.budget, self.budget + CLOSING - 2, self.budget + CLOSING)
        else:
            self._window(0.4, 0.9)
        await self.job.say(f"{'confirming' if confirming else 'measuring'} {len(rows)} subnets")
        result = await measure(
            self.job, step, self.supernet, target, rows, self.seed, store, together=confirming
        )
        self.trail.set_timings(target, rows, result["timings"], confirmed=confirming)

    async def refit(self, number: int) -> Json:
        """Fit every predictor to all rows there are now; the next round uses these."""
        with self.job.read() as session:
            models = [
                wanted_model(
                    session,
                    self.job,
                    self.supernet,
                    *(entry[name] for name in ("metric", "target", "kind", "version")),
                )
                for entry in self.predictors
            ]

        def store(session: Session, result: Json) -> Json:
            for model in result["models"]:
                own_model(session, self.job.project, model)
            row = queries.get(session, self.job.project, Search, self.search_id)
            row.evaluations = len(self.trail.rows)
            kept = ("metric", "target", "version", "rows")
            return {"models": [{name: m[name] for name in kept} for m in result["models"]], "at": time.time()}

        self._window(0.9, 1.0)
        await self.job.say(f"round {number + 1}: refitting predictors")
        payload = {"bench": self.bench, "models": models, "report": False}
        result = await self.job.step(f"fit {number}", FIT_TASK, payload, store)
        versions = {(model["metric"], model["target"]): model["version"] for model in result["models"]}
        self.predictors = [
            {**entry, "version": versions[entry["metric"], entry["target"]]} for entry in self.predictors
        ]
        return result

    def least_violation(self) -> float:
        """How near the limits anything truly measured came, 0 when it met them."""
        return min(judge(plan, self.trail.values(confirmed=False)).least_violation for plan in self.plans)

    # --- the end -----------------------------------------------------------------------------------

    async def confirm(self) -> list[Judgement]:
        """Measure the candidates anew, all in one run that had no part in choosing them, and judge by that."""
        for attempt in range(2):
            rows = candidates(self.plans, self.trail, wide=attempt > 0)
            if attempt > 0 and not rows:
                break
            for target in self.targets:
                await self.measure(f"confirm {attempt} {target}", target, rows)
            if not self.targets:
                self.trail.confirm_without_target(rows)
            judgements = [judge(plan, self.trail.values(confirmed=True)) for plan in self.plans]
            if all(judgement.front for judgement in judgements):
                break
        return judgements

    async def test(self, judgements: list[Judgement]) -> None:
        """Quality on the test split, of what is returned and of nothing else."""
        chosen = sorted({index for judgement in judgements for index in judgement.returned})
        population = population_of(self.family, [self.trail.rows[index] for index in chosen])

        def store(session: Session, result: Json) -> Json:
            store_evaluations(session, self.job, self.supernet, "test", population, result["evaluations"])
            return result

        self.job.window(self.budget + CLOSING - 2, self.budget + CLOSING, self.budget + CLOSING)
        await self.job.say(f"testing {len(chosen)} subnets")
        payload = {"bench": self.bench, "population": population.tolist(), "split": "test"}
        result = await self.job.step("test", "service.jobs.work:evaluate", payload, store)
        self.trail.set_test(chosen, result["evaluations"])

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
            search.evaluations = len(self.trail.rows)
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
            "rounds": self.trail.round_sizes,
            "predictors_before": self.job.params["predictors"],
            "predictors_after": self.predictors,
        }
