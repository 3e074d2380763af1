"""Measuring, as every job does it: on this machine in a step, on another one by an order that devices fill.

A job whose nets are measured elsewhere takes no worker's time: it rests, and is queued anew when the last
row has come. What it did before is answered from its records then.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from service.artifacts import own_artifact
from service.db import queries
from service.db.tables import Supernet, Target
from service.devices import lease_queries
from service.devices.hardware import is_remote
from service.devices.leasing import settle_order
from service.devices.protocols import protocol_changed
from service.devices.staleness import mark, note_drift
from service.errors import JobError
from service.measurements.rows import bench_of, target_of
from service.runtime.context import Store, WaitingJobError, WorkContext

Json = dict[str, Any]
WRITING_SHARE = 0.2  # of a remote measurement's progress
LATENCY = ("latency_ms",)


async def measure(
    job: WorkContext,
    step: str,
    supernet: Supernet,
    target: str,
    rows: list[list[int]],
    seed: int,
    store: Store,
    *,
    metrics: Sequence[str] = LATENCY,
    together: bool = False,
    until: float | None = None,
) -> Json:
    """Measure rows of choices on a target, and write what ``store`` makes of the result.

    The result has ``timings`` in the order of the rows, the ``calibrations`` that they are on the scale of,
    ``precision``, and ``extras``: further metrics by row. ``together`` asks for one interleaved run also where
    several devices share the target. On this machine a run that is not done by the time ``until`` ends without
    timings. Both kinds of target go by the progress window that was said last.

    Raises:
        WaitingJobError: the rest must wait for devices.
        JobError: the target is stale.
    """
    with job.read() as session:
        described = target_of(session, job, target)
        stale = protocol_changed(session, target)
    if stale is not None:
        await job.write(f"{step}: stale", _marked(job, target, stale))
        raise JobError("target_stale", _stale(described["name"], stale))
    settings = job.settings
    protocol = {
        "seed": seed,
        "rounds_max": settings.measure_rounds,
        "calibration_rounds": settings.measure_rounds,
        "block_ms": settings.measure_block_ms,
    }
    payload = {
        "bench": bench_of(job, supernet),
        "population": rows,
        "target": described,
        "protocol": protocol,
        "metrics": list(metrics),
        "until": until,
    }
    if is_remote(described["kind"]):
        return await _elsewhere(job, step, target, payload, store, together)
    result = await job.step(step, "service.measuring.tasks:measure", payload, _here(job, target, store))
    if "stale" in result:
        raise JobError("target_stale", _stale(described["name"], result["stale"]))
    return result


def _here(job: WorkContext, target: str, store: Store) -> Store:
    def keep(session: Session, result: Json) -> Json | None:
        row = queries.get(session, job.project, Target, target)
        if "stale" in result:
            mark(row, result["stale"])
            return None
        note_drift(row, result["timings"])
        return store(session, result)

    return keep


def _marked(job: WorkContext, target: str, reason: str) -> Store:
    def keep(session: Session, _result: Json) -> None:
        mark(queries.get(session, job.project, Target, target), reason)

    return keep


def _stale(name: str, reason: str) -> str:
    return f"target {name!r} cannot go on, {reason}; `netwright targets refresh {name}` starts anew"


async def _elsewhere(
    job: WorkContext, step: str, target: str, payload: Json, store: Store, together: bool
) -> Json:
    start, stop, total = job.span
    written = int(start + WRITING_SHARE * (stop - start))

    def order(session: Session, result: Json) -> Json:
        for index, (sha256, size) in enumerate(result["files"]):
            name = f"{job.id}-{index}.onnx"
            own_artifact(session, job.project, sha256, size, "application/octet-stream", name)
        row = lease_queries.place_order(
            session,
            job.project,
            job.id,
            step,
            [tuple(file) for file in result["files"]],
            target_id=target,
            protocol=payload["protocol"],
            metrics=payload["metrics"],
            together=together,
            span=[written, stop, total],
        )
        return {"order": row.id}

    job.window(start, written, total)
    placed = await job.step(f"{step}: nets", "service.measuring.tasks:write_nets", payload, order)

    def collect(session: Session, _result: Json) -> Json | None:
        results = [item.result or {} for item in lease_queries.items_of(session, placed["order"])]
        row = queries.get(session, job.project, Target, target)
        return store(
            session,
            {
                "timings": [result["timing"] for result in results],
                "extras": [{**result["extras"], "provenance": result["provenance"]} for result in results],
                "calibrations": row.calibrations,
                "precision": row.settings["precision"],
            },
        )

    with job.read() as session:
        open_items = lease_queries.count_items(session, placed["order"], "waiting", "leased")
    if open_items:
        raise WaitingJobError(partial(settle_order, placed["order"]))
    job.window(stop, stop, total)
    return await job.write(step, collect)
