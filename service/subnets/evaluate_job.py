"""Job: evaluate the quality of subnets of a supernet."""

from __future__ import annotations

import asyncio

from sqlalchemy.orm import Session

from service.db import queries
from service.db.tables import Supernet
from service.measurements.rows import Origin, store_evaluations
from service.measurements.selection import choose
from service.runtime.context import WorkContext
from service.runtime.task import StepData
from service.subnets import tasks
from service.subnets.schemas import EvaluateParams
from service.subnets.tasks import Evaluated, EvaluateIn
from service.supernets.bench import bench_of
from service.supernets.checkpoints import family_of
from service.supernets.images import split_images
from supernets.spaces.space import Population
from supernets.words import counted

CHUNK = 50


class StoredEvaluations(StepData):
    """How many evaluations a step stored."""

    evaluated: int


async def run(job: WorkContext) -> None:
    """In steps of fifty, so that a killed worker repeats little."""
    params = job.parameters(EvaluateParams)
    with job.read() as session:
        supernet = queries.get(session, job.project, Supernet, params.supernet)
        session.expunge_all()
    population = await asyncio.to_thread(choose, family_of(supernet), params, for_latency=False)
    bench, total = bench_of(job.settings, supernet), len(population)
    on = params.split if params.images is None else f"{params.images} images of {params.split}"
    for start in range(0, total, CHUNK):
        part = population[start : start + CHUNK]
        step = f"evaluate {start}"

        def store(
            session: Session, result: Evaluated, part: Population = part, step: str = step
        ) -> StoredEvaluations:
            store_evaluations(session, Origin(job, supernet, step), part, result.evaluations)
            return StoredEvaluations(evaluated=len(part))

        job.window(start, start + len(part), total)
        await job.report(f"evaluating {counted(total, 'subnet')} on {on}")
        request = EvaluateIn(
            bench=bench,
            population=part.tolist(),
            split=params.split,
            images=params.images,
            split_images=split_images(supernet, params.split),
        )
        await job.step(step, tasks.evaluate, request, store)
    job.outcome = f"evaluated {counted(total, 'subnet')} on {on}"
