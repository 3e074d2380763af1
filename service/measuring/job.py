"""Job: measure subnets of a supernet on a target."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlalchemy.orm import Session

from service.db import queries
from service.db.tables import Supernet
from service.errors import JobError
from service.measurements.rows import store_timings
from service.measuring.choose import chosen
from service.measuring.measure import measure
from service.measuring.until import measure_until
from service.runtime.context import WorkContext
from supernets.spaces.space import Population

STEP = "measure"


async def run(job: WorkContext) -> None:
    """One interleaved run over all of them, or batches until a predictor is good enough; fails only without a value."""
    with job.read() as session:
        supernet = queries.get(session, job.project, Supernet, job.params["supernet"])
        session.expunge_all()
    population = await chosen(job, supernet)

    target = job.params["target"]

    async def part(step: str, rows: Population) -> dict[str, Any]:
        def store(session: Session, result: dict[str, Any]) -> dict[str, Any]:
            values = store_timings(session, job, supernet, target, step, rows, result)
            verdicts = [timing["verdict"] for timing in result["timings"]]
            return {"measured": sum(value is not None for value in values), "verdicts": verdicts}

        seed, metrics = job.params["seed"], job.params["metrics"]
        return await measure(job, step, supernet, target, rows.tolist(), seed, store, metrics=metrics)

    if job.params.get("until") is not None:
        result = await measure_until(job, supernet, population, part)
    else:
        job.window(0, len(population), len(population))
        await job.say(f"measuring {len(population)} subnets")
        result = await part(STEP, population)
        verdicts = Counter(map(str, result["verdicts"])).most_common()
        told = ", ".join(f"{count} {verdict}" for verdict, count in verdicts)
        job.outcome = f"measured {result['measured']} of {len(population)} subnets: {told}"
    if result["measured"] == 0:
        raise JobError(
            "measuring_failed", f"none of {len(population)} subnets gave a value: {result['verdicts'][:5]}"
        )
