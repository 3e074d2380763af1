"""Which subnets a measuring job measures: those requested, a spread, or the most informative about the target."""

from __future__ import annotations

import asyncio

from sqlalchemy.orm import Session

from service.db.tables import Supernet
from service.measurements.queries import unsupported_archs
from service.measurements.rows import training_rows
from service.measurements.schemas import MeasureParams
from service.measurements.selection import choose
from service.predictors import tasks
from service.predictors.queries import source_rows, source_targets
from service.predictors.tasks import ChooseIn, Chosen
from service.runtime.context import WorkContext
from service.runtime.task import Rows
from service.supernets.bench import bench_of, population_of
from service.supernets.checkpoints import family_of
from supernets.spaces.space import Population
from supernets.words import counted

STEP = "choose"


async def chosen(
    job: WorkContext, params: MeasureParams, supernet: Supernet, count: int | None = None
) -> Population:
    """The population ``(n, d)`` that the parameters mean, recorded as a step; ``count`` replaces theirs.

    By information, the default where other targets of the space are known, the order is that of information;
    a spread spans the space from its second row on. Either way a first part of it is a good, smaller choice.
    """
    family, params = family_of(supernet), params.model_copy(update={"count": count} if count else {})
    with job.read() as session:
        how = _how(session, job, params, supernet)
        measured = _settled(session, job, params, supernet)
        if how == "information" and family.space().size() - len(measured) < (params.count or 0):
            how = "spread"  # too few subnets are left unmeasured
        known = []
        if how == "information":
            known = source_rows(session, job.project, supernet, params.metric, params.target)
    if how != "information":
        # In a thread: it takes seconds, and a job that is cancelled must not wait for it.
        rows = (await asyncio.to_thread(choose, family, params, for_latency=True)).tolist()

        def keep(_session: Session) -> Chosen:
            return Chosen(population=rows)

        return population_of(family, (await job.write(STEP, keep)).population)
    assert params.count is not None
    sources = counted(len(known), "source device")
    job.window(0, 0, params.count)  # nothing is measured yet
    await job.report(f"choosing {counted(params.count, 'subnet')} with the rows of {sources}")
    request = ChooseIn(
        bench=bench_of(job.settings, supernet),
        metric=params.metric,
        target=params.target,
        count=params.count,
        seed=params.seed,
        known=known,
        measured=measured,
    )
    return population_of(family, (await job.step(STEP, tasks.choose, request)).population)


def _settled(session: Session, job: WorkContext, params: MeasureParams, supernet: Supernet) -> Rows:
    """Archs that need not be measured: those that were, and those that the target's runtime cannot run."""
    rows = training_rows(session, job, supernet, params.metric, params.target).population
    space = family_of(supernet).space()
    refused = unsupported_archs(session, job.project, supernet.id, [params.target])
    rows += space.encode(space.arch(arch) for arch in refused).tolist()
    return [list(row) for row in sorted(set(map(tuple, rows)))]


def _how(session: Session, job: WorkContext, params: MeasureParams, supernet: Supernet) -> str:
    """``given``, ``spread`` or ``information``."""
    if params.archs is not None:
        return "given"
    if params.choose is not None:
        return params.choose
    known = source_targets(session, job.project, supernet, params.metric, params.target)
    return "information" if known else "spread"
