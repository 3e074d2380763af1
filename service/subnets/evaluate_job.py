"""Job: evaluate the quality of subnets of a supernet."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from service.db import queries
from service.db.tables import Supernet
from service.measurements.rows import bench_of, store_evaluations
from service.measurements.selection import choose
from service.runtime.context import WorkContext
from service.supernets.checkpoints import family_of

CHUNK = 50


async def run(job: WorkContext) -> None:
    """In steps of fifty, so that a killed worker loses little."""
    with job.read() as session:
        supernet = queries.get(session, job.project, Supernet, job.params["supernet"])
        session.expunge_all()
    population = choose(family_of(supernet), job.params, for_latency=False)
    bench, total = bench_of(job, supernet), len(population)
    for start in range(0, total, CHUNK):
        part = population[start : start + CHUNK]
        step = f"evaluate {start}"

        def store(
            session: Session, result: dict[str, Any], part: Any = part, step: str = step
        ) -> dict[str, Any]:
            store_evaluations(session, job, supernet, step, part, result["evaluations"])
            return {"evaluated": len(part)}

        job.window(start, start + len(part), total)
        await job.say(f"evaluating {total} subnets on {job.params['split']}")
        payload = {"bench": bench, "population": part.tolist(), "split": job.params["split"]}
        await job.step(step, "service.subnets.tasks:evaluate", payload, store)
    job.outcome = f"evaluated {total} subnets on {job.params['split']}"
