"""Which subnets a measuring job measures: the ones given, a spread, or those that tell most about the target."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from service.db.tables import Supernet
from service.measurements.queries import unsupported_archs
from service.measurements.rows import bench_of, population_of, training_rows
from service.measurements.selection import choose
from service.predictors.known import known_rows, known_targets
from service.runtime.context import WorkContext
from service.supernets.checkpoints import family_of
from supernets.spaces.space import Population

Json = dict[str, Any]
STEP = "choose"


async def chosen(job: WorkContext, supernet: Supernet, count: int | None = None) -> Population:
    """The population ``(n, d)`` that the parameters of a measuring job mean, recorded as a step.

    By information, the default where other targets of the space are known, the order is that of information;
    a spread spans the space from its second row on. Either way a first part of it is a good, smaller choice.
    """
    family, params = family_of(supernet), {**job.params}
    if count is not None:
        params["count"] = count
    metric, target = params["metric"], params["target"]
    with job.read() as session:
        how = _how(session, job, supernet)
        measured = _settled(session, job, supernet)
        if how == "information" and family.space().size() - len(measured) < params["count"]:
            how = "spread"  # so much is known that what is asked for takes measuring something again
        known = known_rows(session, job.project, supernet, metric, target) if how == "information" else []
    if how != "information":
        rows = choose(family, params, for_latency=True).tolist()
        recorded = await job.write(STEP, lambda _session, _result: {"population": rows})
        return population_of(family, recorded["population"])
    await job.say(f"choosing {params['count']} subnets by what {len(known)} known targets say")
    payload = {
        "bench": bench_of(job, supernet),
        "metric": metric,
        "target": target,
        "count": params["count"],
        "seed": params["seed"],
        "known": known,
        "measured": measured,
    }
    recorded = await job.step(STEP, "service.predictors.tasks:choose", payload)
    return population_of(family, recorded["population"])


def _settled(session: Session, job: WorkContext, supernet: Supernet) -> list[list[int]]:
    """Archs that need not be measured: those that were, and those that the target's runtime cannot run."""
    metric, target = job.params["metric"], job.params["target"]
    rows, _ = training_rows(session, job, supernet, metric, target)
    space = family_of(supernet).space()
    refused = unsupported_archs(session, job.project, supernet.id, [target])
    rows += space.encode(space.arch(arch) for arch in refused).tolist()
    return [list(row) for row in sorted(set(map(tuple, rows)))]


def _how(session: Session, job: WorkContext, supernet: Supernet) -> str:
    """``given``, ``spread`` or ``information``."""
    params = job.params
    if params.get("archs") is not None:
        return "given"
    if params.get("choose") is not None:
        return str(params["choose"])
    known = known_targets(session, job.project, supernet, params["metric"], params["target"])
    return "information" if known else "spread"
