"""Job: measure subnets of a supernet on a target."""

from __future__ import annotations

from collections import Counter

from predictors.measuring.protocol import Protocol
from service.db import queries
from service.db.tables import Supernet
from service.errors import JobError
from service.measurements.models import SubnetTiming
from service.measurements.rows import Origin
from service.measurements.schemas import MeasureParams
from service.measuring.choose import chosen
from service.measuring.measure import MeasuringRun, measure
from service.measuring.until import measure_until
from service.runtime.context import WorkContext
from supernets.spaces.space import Population
from supernets.words import counted

STEP = "measure"


async def run(job: WorkContext) -> None:
    """One interleaved run over all of them, or batches until a predictor is good enough; fails only without a value."""
    params = job.parameters(MeasureParams)
    with job.read() as session:
        supernet = queries.get(session, job.project, Supernet, params.supernet)
        session.expunge_all()
    population = await chosen(job, params, supernet)

    async def measure_part(step: str, part: Population) -> list[SubnetTiming]:
        rows = part.tolist()
        request = MeasuringRun(params.target, rows, params.seed, params.metrics)
        return await measure(Origin(job, supernet, step), request)

    if params.until is not None:
        timings = await measure_until(job, params, params.until, supernet, population, measure_part)
    else:
        job.window(0, len(population), len(population))
        await job.report(f"measuring {counted(len(population), 'subnet')}")
        timings = await measure_part(STEP, population)
        counts = Counter(str(timing.verdict) for timing in timings).most_common()
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in counts)
        job.outcome = f"measured {measured(timings)} of {counted(len(population), 'subnet')}: {verdicts}"
        if any(timing.verdict == "refused" for timing in timings):
            job.outcome += (
                f" (standard error over {Protocol().refuse_error:.0%}: measure again on a less busy machine)"
            )
    if not measured(timings):
        first = [timing.verdict for timing in timings[:5]]
        raise JobError(
            "measuring_failed", f"none of {counted(len(population), 'subnet')} gave a value: {first}"
        )


def measured(timings: list[SubnetTiming]) -> int:
    """How many have a value: a latency, or another metric where the latency was refused as on a busy machine."""
    return sum(timing.latency_ms is not None or bool(timing.extras) for timing in timings)
