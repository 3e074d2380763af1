"""Measuring, as every job does it: on this machine in a step, on another one by an order that devices fill.

A job whose subnets are measured elsewhere occupies no worker: it waits, and is queued again when the last result
has arrived. What it did before is answered from its records then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy.orm import Session

from predictors.measuring.protocol import Protocol
from service.artifacts import own_artifact
from service.db import queries
from service.db.tables import Target
from service.devices.hardware import is_remote
from service.devices.leasing import settle_order
from service.devices.staleness import mark, note_drift, protocol_changed
from service.errors import JobError
from service.measurements.models import Measured, StoredLatencies, SubnetTiming
from service.measurements.rows import Origin, store_timings, target_of
from service.measuring import tasks
from service.measuring.tasks import MeasureIn, WrittenFiles
from service.runtime import parts
from service.runtime.context import WaitingJobError, WorkContext
from service.runtime.task import Rows, StepData
from service.supernets.bench import bench_of, population_of
from service.supernets.checkpoints import family_of
from supernets.metrics import LATENCY

WRITING_SHARE = 0.2  # of a remote measurement's progress


class Placed(StepData):
    """An order for devices."""

    order: str


class Marked(StepData):
    """Why a target was marked as stale."""

    stale: str


@dataclass(frozen=True)
class MeasuringRun:
    """Subnets to measure on a target, as rows of choices, and how.

    ``together`` requests one interleaved run even where several devices share the target. On this machine a run
    that is not done within this many ``seconds`` ends without timings. ``lookup`` stands for measurements where the
    target cannot measure.
    """

    target: str
    rows: Rows
    seed: int
    metrics: Sequence[str] = (LATENCY,)
    together: bool = False
    seconds: float | None = None
    lookup: StoredLatencies | None = None


async def measure(origin: Origin, run: MeasuringRun) -> list[SubnetTiming]:
    """Measure subnets on a target and store the measurements; returns timings in the order of the rows.

    Progress is reported within the window that was set last.

    Raises:
        WaitingJobError: the rest must wait for devices.
        JobError: the target is stale.
    """
    job, supernet, step, target = origin.job, origin.supernet, origin.step, run.target
    with job.read() as session:
        described = target_of(session, job, target, run.lookup)
        stale = protocol_changed(session, target)
    if stale is not None:

        def mark_stale(session: Session) -> Marked:
            mark(queries.get(session, job.project, Target, target), stale)
            return Marked(stale=stale)

        await job.write(f"{step}: stale", mark_stale)
        raise _stale(described.name, stale)
    settings = job.settings
    request = MeasureIn(
        bench=bench_of(settings, supernet),
        population=run.rows,
        target=described,
        protocol=Protocol(
            seed=run.seed,
            rounds_max=settings.measure_rounds,
            calibration_rounds=settings.measure_rounds,
            block_ms=settings.measure_block_ms,
        ),
        metrics=list(run.metrics),
        seconds=run.seconds,
    )

    def store(session: Session, result: Measured) -> Measured:
        row = queries.get(session, job.project, Target, target)
        if result.stale is not None:
            mark(row, result.stale)
        elif result.timings:
            population = population_of(family_of(supernet), run.rows)
            store_timings(session, origin, target, population, result)
        return result

    def store_here(session: Session, result: Measured) -> Measured:
        references = [{"reference": timing.reference} for timing in result.timings]
        note_drift(queries.get(session, job.project, Target, target), references)
        return store(session, result)

    if not is_remote(described.kind):
        result = await job.step(step, tasks.measure, request, store_here)
        if result.stale is not None:
            raise _stale(described.name, result.stale)
        return result.timings
    order = await _order(job, step, target, request, run.together)

    def collect(session: Session) -> Measured:
        results = [item.result or {} for item in parts.items_of(session, order)]
        row = queries.get(session, job.project, Target, target)
        timings = [SubnetTiming.of(**each) for each in results]
        precision = row.settings["precision"]
        return store(session, Measured(timings=timings, calibrations=row.calibrations, precision=precision))

    return (await job.write(step, collect)).timings


async def _order(job: WorkContext, step: str, target: str, request: MeasureIn, together: bool) -> str:
    """The order of this step, once devices have measured all of it; raises ``WaitingJobError`` before that."""
    start, stop, total = job.span
    written = int(start + WRITING_SHARE * (stop - start))

    def place(session: Session, result: WrittenFiles) -> Placed:
        for index, file in enumerate(result.files):
            name = f"{job.id}-{index}.onnx"
            own_artifact(session, job.project, file.sha256, file.bytes, "application/octet-stream", name)
        row = parts.place_order(
            session,
            job.project,
            job.id,
            step,
            [{"file_sha256": file.sha256, "bytes": file.bytes} for file in result.files],
            target_id=target,
            protocol=request.model_dump(mode="json")["protocol"],
            metrics=request.metrics,
            together=together,
            span=[written, stop, total],
        )
        return Placed(order=row.id)

    job.window(start, written, total)
    order = (await job.step(f"{step}: nets", tasks.write_files, request, place)).order
    with job.read() as session:
        open_items = parts.count_items(session, order, "waiting", "leased")
    if open_items:
        raise WaitingJobError(partial(settle_order, order))
    job.window(stop, stop, total)
    return order


def _stale(name: str, reason: str) -> JobError:
    message = f"target {name!r} is stale: {reason}; `netwright targets refresh {name}` calibrates it again"
    return JobError("target_stale", message)
