"""True values of the subnets of a search: stored ones are taken, the others are evaluated or measured, and stored."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from service.db import queries
from service.db.tables import Supernet, Target
from service.devices.hardware import is_measurable
from service.measurements.models import StoredLatencies, SubnetTiming
from service.measurements.rows import Origin, store_evaluations, training_rows
from service.measuring.measure import MeasuringRun, measure
from service.runtime.context import WorkContext
from service.runtime.task import Rows, StepData
from service.search.request.plan import SearchParams
from service.search.request.schemas import SearchSpec
from service.search.rounds.stored import stored_quality, stored_timings
from service.subnets import tasks as subnet_tasks
from service.subnets.tasks import Evaluated, EvaluateIn
from service.supernets.bench import bench_of, population_of
from service.supernets.checkpoints import family_of
from service.supernets.images import split_images
from supernets.metrics import LATENCY
from supernets.words import counted

AGAIN = 2  # further runs for confirmations that were refused


class StoredTimings(StepData):
    """Stored timings of the subnets of a round; None where there is none."""

    timings: list[SubnetTiming | None]


class TrueValues:
    """Quality on a split and latency on targets, with the metrics ``extras`` that are measured with latency."""

    def __init__(
        self,
        job: WorkContext,
        supernet: Supernet,
        params: SearchParams,
        spec: SearchSpec,
        extras: Sequence[str],
    ) -> None:
        self._job, self._supernet, self._params, self._spec = job, supernet, params, spec
        self._family, self._bench = family_of(supernet), bench_of(job.settings, supernet)
        self._extras = list(extras)

    async def quality(
        self,
        step: str,
        rows: Rows,
        split: str,
        doing: str,
        seconds: float | None = None,
        images: int | None = None,
        whole: bool = True,
    ) -> Evaluated:
        """Quality of rows on a split or on a part of it, in their order; of fewer where the time ran out.

        Without ``whole``, what is known on all images is evaluated on the part all the same.
        """
        population = population_of(self._family, rows)
        with self._job.read() as session:
            known = stored_quality(session, self._job, self._supernet, split, images, whole=whole)
        archs = self._family.space().decode(population)
        unknown = [index for index, arch in enumerate(archs) if arch.id not in known]

        def store(session: Session, result: Evaluated) -> Evaluated:
            fresh = result.evaluations
            done = population[unknown[: len(fresh)]]
            store_evaluations(session, Origin(self._job, self._supernet, step), done, fresh)
            by_index = dict(zip(unknown, fresh, strict=False))
            found = []
            for index, arch in enumerate(archs):
                evaluation = by_index.get(index) or known.get(arch.id)
                if evaluation is None:
                    break  # out of time from here on
                found.append(evaluation)
            return Evaluated(evaluations=found, images=sum(each.n for each in fresh))

        if len(unknown):
            on = split if images is None else f"{images} images of {split}"
            await self._job.report(f"{doing}: evaluating {counted(len(unknown), 'subnet')} on {on}")
        request = EvaluateIn(
            bench=self._bench,
            population=population[unknown].tolist(),
            split=split,
            seconds=seconds,
            images=images,
            split_images=split_images(self._supernet, split),
        )
        return await self._job.step(step, subnet_tasks.evaluate, request, store)

    async def stored_timings(self, step: str, target: str, rows: Rows) -> list[SubnetTiming | None]:
        """Timings of rows on a target that are stored, None for the others.

        Recorded: when a job that waited for devices continues, the database has more rows.
        """

        def look(session: Session) -> StoredTimings:
            known = stored_timings(session, self._job, self._supernet, target, self._extras)
            archs = self._family.space().decode(population_of(self._family, rows))
            return StoredTimings(timings=[known.get(arch.id) for arch in archs])

        return list((await self._job.write(step, look)).timings)

    async def confirmations(self, step: str, target: str, rows: Rows) -> list[SubnetTiming]:
        """Measure rows on a target in one run; what is refused is measured again, at most :data:`AGAIN` times.

        A busy machine has calmer minutes, and a front loses every point whose confirmation is refused.
        """
        timings = await self.timings(step, target, rows, together=True)
        for number in range(1, AGAIN + 1):
            refused = [index for index, timing in enumerate(timings) if timing.verdict == "refused"]
            if not refused:
                break
            await self._job.report(f"confirming {counted(len(refused), 'refused subnet')} again")
            fresh = await self.timings(
                f"{step} again {number}", target, [rows[index] for index in refused], together=True
            )
            for index, timing in zip(refused, fresh, strict=True):
                timings[index] = timing
        return timings

    async def timings(
        self, step: str, target: str, rows: Rows, *, together: bool = False, seconds: float | None = None
    ) -> list[SubnetTiming]:
        """Measure rows on a target, ``together`` in one run; of fewer where ``seconds`` ran out."""
        if not rows:
            return []
        run = MeasuringRun(
            target,
            rows,
            self._spec.seed,
            metrics=[LATENCY, *self._extras],
            together=together,
            seconds=seconds,
            lookup=self._lookup(target),
        )
        return await measure(Origin(self._job, self._supernet, step), run)

    def _lookup(self, target: str) -> StoredLatencies | None:
        """On a target that cannot measure: its rows, and the predictor that the search began with."""
        with self._job.read() as session:
            row = queries.get(session, self._job.project, Target, target)
            if is_measurable(row.kind):
                return None
            population, values, _ = training_rows(session, self._job, self._supernet, LATENCY, target)
            precision = row.settings["precision"]
        versions = [entry.version for entry in self._params.predictors if entry.target == target]
        return StoredLatencies(
            population=population,
            values=values,
            predictor=versions[0] if versions else None,
            confidence=self._spec.confidence,
            precision=precision,
        )
