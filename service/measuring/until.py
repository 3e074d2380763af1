"""Measure in batches until a predictor is good enough: measure, look, and go on only if it is not.

The subnets were chosen once, in an order whose every first part is a good choice (see ``chosen``). Batches and
looks are recorded steps: another worker, or a job that had to wait for a device, goes on where it was.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from sqlalchemy.orm import Session

from predictors.choice import default_kind
from service.db import queries
from service.db.tables import Job, Supernet
from service.measurements.models import SubnetTiming
from service.measurements.schemas import MeasureParams, Until
from service.predictors import tasks
from service.predictors.job import model_spec
from service.predictors.queries import source_targets
from service.predictors.tasks import HeldOutError, LookIn
from service.runtime.context import WorkContext
from service.supernets.bench import bench_of
from supernets.metrics import METRICS
from supernets.spaces.space import Population

MeasurePart = Callable[[str, Population], Awaitable[list[SubnetTiming]]]
FIRST, SMALLEST, GROWTH = 10, 5, 0.25


def batches(count: int) -> list[tuple[int, int]]:
    """First and last row of each batch: ten at first, then a quarter of what there is, at least five."""
    found, stop = [], 0
    while stop < count:
        size = FIRST if stop == 0 else max(SMALLEST, int(GROWTH * stop))
        start, stop = stop, min(stop + size, count)
        found.append((start, stop))
    return found


class UntilOutcome(HeldOutError):
    """The last error, and whether it was below the limit."""

    below: float
    reached: bool
    measured: int


async def measure_until(
    job: WorkContext,
    params: MeasureParams,
    until: Until,
    supernet: Supernet,
    population: Population,
    measure_part: MeasurePart,
) -> list[SubnetTiming]:
    """Measure first parts of ``population`` until the error is below the limit, at most all of it.

    The error is that of cross-validation on everything measured on the target, and its standard error is added
    before it is compared, so that one lucky result does not end it. Returns the timings of all batches.
    """
    total = len(population)
    timings: list[SubnetTiming] = []
    error: HeldOutError | None = None
    for number, (start, stop) in enumerate(batches(total)):
        job.window(start, stop, total)
        await job.report(f"measuring subnets {start + 1} to {stop} of at most {total}{_so_far(error, until)}")
        timings += await measure_part(f"measure {number}", population[start:stop])
        job.window(stop, stop, total)
        error = await job.step(f"look {number}", tasks.look, _request(job, params, supernet))
        if error.is_below(until.below):
            break
    assert error is not None
    reached = error.is_below(until.below)
    measured = sum(timing.latency_ms is not None for timing in timings)
    outcome = UntilOutcome(**error.model_dump(), below=until.below, reached=reached, measured=measured)

    def keep(session: Session) -> UntilOutcome:
        queries.get(session, job.project, Job, job.id).result = outcome.model_dump()
        return outcome

    job.window(total, total, total)
    await job.write("result", keep)
    job.outcome = f"{'good enough' if reached else 'not good enough'}{_so_far(error, until)}"
    return timings


def _request(job: WorkContext, params: MeasureParams, supernet: Supernet) -> LookIn:
    """The rows there are now, and the kind of predictor that is the default for them."""
    with job.read() as session:
        known = source_targets(session, job.project, supernet, params.metric, params.target)
        kind = default_kind(METRICS[params.metric], bool(known))
        model = model_spec(session, job, supernet, params.metric, params.target, kind)
    return LookIn(bench=bench_of(job.settings, supernet), model=model)


def _so_far(error: HeldOutError | None, until: Until) -> str:
    if error is None:
        return ""
    if error.mape is None:
        return f"; {error.note}"
    return (
        f"; {error.kind} has an error of {error.mape:.1%} ± {error.standard_error:.1%} on held-out rows of "
        f"{error.rows}, the limit is {until.below:.1%}"
    )
