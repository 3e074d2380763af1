"""Job: take rows that were measured elsewhere, each checked; bad ones are refused by name, the rest goes on."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from service.db import queries
from service.db.tables import Job, Supernet, Target
from service.errors import JobError
from service.measurements.rows import population_of, store_brought, training_rows
from service.runtime.context import WorkContext
from service.supernets.checkpoints import family_of
from service.supernets.queries import archs_by_id

Json = dict[str, Any]
CHUNK = 2000  # rows a transaction, so that nobody waits long for the database
MOST_KNOWN = 50_000
TOLD = 3


async def run(job: WorkContext) -> None:
    """Check all rows, say what was refused, store the others; fails only when nothing is left."""
    with job.read() as session:
        supernet = queries.get(session, job.project, Supernet, job.params["supernet"])
        payload = _payload(session, job, supernet)
        session.expunge_all()

    def tell(session: Session, result: Json) -> Json:
        row = queries.get(session, job.project, Job, job.id)
        row.result = _outcome(result["summary"], job.params["table"]["strict"])
        return result

    job.window(0, 1, 2)
    await job.say("checking the rows")
    checked = await job.step("check", "service.measurements.import_task:check", payload, tell)
    _require_rows(checked["summary"], job.params["table"]["strict"])
    family, total = family_of(supernet), len(checked["values"])
    summary = checked["summary"]
    job.outcome = (
        f"took {summary['accepted']} of {summary['rows']} rows, {summary['known']} were known, "
        f"{summary['refused_count']} refused"
    )
    for start in range(0, total, CHUNK):
        part = slice(start, start + CHUNK)
        step = f"store {start}"

        def store(session: Session, _result: Json, part: slice = part, step: str = step) -> Json:
            brought = {name: checked[name][part] for name in ("values", "counts", "spreads")}
            population = population_of(family, checked["population"][part])
            store_brought(session, job, supernet, step, population, brought)
            return {"stored": len(population)}

        job.window(total + start, total + min(start + CHUNK, total), 2 * total)
        await job.say(f"storing {total} rows")
        await job.write(step, store)


def _payload(session: Session, job: WorkContext, supernet: Supernet) -> Json:
    table, target = job.params["table"], queries.get(session, job.project, Target, job.params["target"])
    population, values = training_rows(session, job, supernet, "latency_ms", target.id)
    axes = {axis.name for axis in family_of(supernet).space().axes}
    by_id = len(table["archs"]) == 1 and table["archs"][0] not in axes
    known = archs_by_id(session, job.project, supernet.id, MOST_KNOWN) if by_id else {}
    return {
        "artifacts": job.settings.artifacts,
        "family": supernet.manifest["family"],
        "config": supernet.manifest["config"],
        "table": table,
        "batch": target.settings.get("batch", 1),
        "known": known,
        "stored": {"population": population, "values": values},
    }


def _outcome(summary: Json, strict: bool) -> Json:
    """What the job says of itself: with ``strict``, one refused row keeps all others out."""
    if strict and summary["refused_count"]:
        return {**summary, "accepted": 0, "archs": 0}
    return summary


def _require_rows(summary: Json, strict: bool) -> None:
    refused = summary["refused_count"]
    told = "; ".join(f"row {each['row']}: {each['reason']}" for each in summary["refused"][:TOLD])
    if strict and refused:
        raise JobError(
            "bad_rows", f"{refused} of {summary['rows']} rows are refused, so none is taken: {told}"
        )
    if summary["accepted"] == 0 and summary["known"] == 0:
        raise JobError("bad_rows", f"all {summary['rows']} rows are refused: {told}")
