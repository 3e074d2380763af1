"""Measure in batches until a predictor is good enough: measure, look, and go on only if it is not.

The subnets were chosen once, in an order whose every first part is a good choice (see ``chosen``). Batches and
looks are recorded steps: another worker, or a job that had to wait for a device, goes on where it was.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy.orm import Session

from service.db import queries
from service.db.tables import Job, Supernet
from service.measurements.rows import bench_of
from service.predictors.job import wanted_model
from service.predictors.known import known_targets
from service.runtime.context import WorkContext
from supernets.metrics import METRICS
from supernets.spaces.space import Population

Json = dict[str, Any]
Part = Callable[[str, Population], Awaitable[Json]]
FIRST, SMALLEST, GROWTH = 10, 5, 0.25


def batches(count: int) -> list[tuple[int, int]]:
    """First and last row of each batch: ten at first, then a quarter of what there is, at least five."""
    found, stop = [], 0
    while stop < count:
        size = FIRST if stop == 0 else max(SMALLEST, int(GROWTH * stop))
        start, stop = stop, min(stop + size, count)
        found.append((start, stop))
    return found


async def measure_until(job: WorkContext, supernet: Supernet, population: Population, part: Part) -> Json:
    """Measure first parts of ``population`` until the error is below the limit, at most all of it.

    The error is that of cross-validation on everything measured on the target, and counts with its standard
    error added: a look that happens to be lucky must not end it. Returns what ``part`` returns, of all batches.
    """
    wanted, total = job.params["until"], len(population)
    measured: Json = {"measured": 0, "verdicts": []}
    look: Json = {}
    for number, (start, stop) in enumerate(batches(total)):
        job.window(start, stop, total)
        await job.say(f"measuring subnets {start + 1} to {stop} of at most {total}{_so_far(look, wanted)}")
        found = await part(f"measure {number}", population[start:stop])
        measured["measured"] += found["measured"]
        measured["verdicts"] += found["verdicts"]
        job.window(stop, stop, total)
        look = await job.step(f"look {number}", "service.predictors.tasks:look", _payload(job, supernet))
        if look["mape"] is not None and look["mape"] + look["standard_error"] < wanted["below"]:
            break
    reached = look["mape"] is not None and look["mape"] + look["standard_error"] < wanted["below"]
    outcome = {**look, "below": wanted["below"], "reached": reached, "measured": measured["measured"]}

    def tell(session: Session, _result: Json) -> Json:
        queries.get(session, job.project, Job, job.id).result = outcome
        return outcome

    job.window(total, total, total)
    await job.write("result", tell)
    job.outcome = f"{'good enough' if reached else 'not good enough'}{_so_far(look, wanted)}"
    return measured


def _payload(job: WorkContext, supernet: Supernet) -> Json:
    """The rows there are now, and the kind of predictor that is the default for them."""
    from predictors.choice import default_kind

    metric, target = job.params["metric"], job.params["target"]
    with job.read() as session:
        known = known_targets(session, job.project, supernet, metric, target)
        kind = default_kind(METRICS[metric], bool(known))
        model = wanted_model(session, job, supernet, metric, target, kind)
    return {"bench": bench_of(job, supernet), "model": model}


def _so_far(look: Json, wanted: Json) -> str:
    if not look:
        return ""
    if look["mape"] is None:
        return f"; {look['note']}"
    return (
        f"; {look['kind']} errs by {look['mape']:.1%} ± {look['standard_error']:.1%} on held-out rows of "
        f"{look['rows']}, wanted below {wanted['below']:.1%}"
    )
