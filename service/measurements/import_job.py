"""Job: import rows that were measured elsewhere, each checked; bad rows are refused by number, the rest is stored."""

from __future__ import annotations

import numpy as np
from pydantic import JsonValue
from sqlalchemy.orm import Session

from predictors.tables.archs import reader
from predictors.tables.check import Stored, check_rows
from predictors.tables.read import read_table
from service.artifacts import ArtifactStore
from service.db import queries
from service.db.removal import remove_supernet, remove_target
from service.db.tables import Job, Supernet, Target
from service.errors import JobError
from service.measurements.models import ImportedRows
from service.measurements.rows import Origin, store_imported, training_rows
from service.measurements.schemas import ImportParams
from service.runtime.context import WorkContext
from service.runtime.task import Progress, Rows, StepData
from service.supernets.checkpoints import family_of
from service.supernets.queries import archs_by_id
from supernets import FAMILIES
from supernets.families.family import Family
from supernets.metrics import LATENCY
from supernets.words import counted

CHUNK = 2000  # rows a transaction, so that other writers wait briefly
MOST_KNOWN = 50_000
SHOWN, NAMED = 100, 3  # refused rows in the result, and in the error message


class CheckIn(StepData):
    """A stored file, what its columns mean, and what is stored of the target already."""

    artifacts: str
    family: str
    config: dict[str, JsonValue]
    params: ImportParams
    batch: int
    archs: dict[str, dict[str, int | float | str]]
    population: Rows
    values: list[float]


class Refused(StepData):
    """A row that is not taken."""

    row: int
    rule: str
    got: JsonValue
    reason: str


class ImportSummary(StepData):
    """How many rows were stored, existed or were refused; ``archs`` counts different subnets."""

    rows: int
    accepted: int
    archs: int
    known: int
    refused_count: int
    refused_by_rule: dict[str, int]
    refused: list[Refused]
    warnings: list[str]


class Checked(StepData):
    """The rows that can be stored, and a summary of all."""

    rows: ImportedRows
    summary: ImportSummary


class StoredRows(StepData):
    """How many rows a step stored."""

    stored: int


async def run(job: WorkContext) -> None:
    """Check all rows, report what was refused, store the others; fails only when no row is left."""
    params = job.parameters(ImportParams)
    with job.read() as session:
        supernet = queries.get(session, job.project, Supernet, params.supernet)
        request = _request(session, job, params, supernet)
        session.expunge_all()

    def keep(session: Session, result: Checked) -> Checked:
        row = queries.get(session, job.project, Job, job.id)
        row.result = _outcome(result.summary, params.strict).model_dump()
        return result

    job.window(0, 1, 2)
    await job.report("checking the rows")
    checked = await job.step("check", check, request, keep)
    try:
        _require_rows(checked.summary, params.strict)
    except JobError:

        def remove(session: Session) -> StoredRows:
            return _remove_created(session, job, params)

        await job.write("remove", remove)
        raise
    total, summary = len(checked.rows.values), checked.summary
    job.outcome = (
        f"imported {summary.accepted} of {counted(summary.rows, 'row')}, {summary.known} were stored already, "
        f"{summary.refused_count} refused"
    )
    for start in range(0, total, CHUNK):
        part = slice(start, start + CHUNK)
        step = f"store {start}"

        def store(session: Session, part: slice = part, step: str = step) -> StoredRows:
            rows = checked.rows
            chunk = ImportedRows(
                population=rows.population[part],
                values=rows.values[part],
                counts=rows.counts[part],
                spreads=rows.spreads[part],
            )
            store_imported(session, Origin(job, supernet, step), params, chunk)
            return StoredRows(stored=len(chunk.values))

        job.window(total + start, total + min(start + CHUNK, total), 2 * total)
        await job.report(f"storing {counted(total, 'row')}")
        await job.write(step, store)


def _remove_created(session: Session, job: WorkContext, params: ImportParams) -> StoredRows:
    """Remove what was created for this import: an import that fails leaves nothing."""
    if "target" in params.created:
        target = queries.find(session, job.project, Target, id=params.target)
        if target is not None:
            remove_target(session, target, but=job.id)
    if "supernet" in params.created:
        supernet = queries.find(session, job.project, Supernet, id=params.supernet)
        if supernet is not None:
            remove_supernet(session, supernet, but=job.id)
    return StoredRows(stored=0)


def _request(session: Session, job: WorkContext, params: ImportParams, supernet: Supernet) -> CheckIn:
    target = queries.get(session, job.project, Target, params.target)
    population, values, _ = training_rows(session, job, supernet, LATENCY, target.id)
    axes = {axis.name for axis in family_of(supernet).space().axes}
    by_id = len(params.archs) == 1 and params.archs[0] not in axes
    return CheckIn(
        artifacts=job.settings.artifacts,
        family=supernet.family,
        config=supernet.config,
        params=params,
        batch=target.settings.get("batch", 1),
        archs=archs_by_id(session, job.project, supernet.id, MOST_KNOWN) if by_id else {},
        population=population,
        values=values,
    )


def check(request: CheckIn, progress: Progress) -> Checked:
    """Task of a child process: check the rows of a stored file."""
    family: Family = FAMILIES.load(request.family).from_config(request.config)
    space, params = family.space(), request.params
    content = ArtifactStore(request.artifacts).read(params.file)
    progress(0, 2, "reading the file")
    table = read_table(content, [*params.archs, params.latency])
    progress(1, 2, f"checking {counted(table.rows, 'row')}")
    population = np.array(request.population, dtype=np.int64).reshape(len(request.values), space.d)
    checked = check_rows(
        table,
        family,
        reader(family, params.archs, request.archs),
        params.archs,
        params.latency,
        params.unit,
        stored=Stored(population, np.array(request.values, dtype=np.float64)),
        batch=request.batch,
        accept_jumps=params.accept_jumps,
    )
    rows = ImportedRows(
        population=checked.population.tolist(),
        values=checked.values.tolist(),
        counts=checked.counts.tolist(),
        spreads=checked.spreads,
    )
    return Checked(rows=rows, summary=ImportSummary.model_validate(checked.summary(SHOWN)))


def _outcome(summary: ImportSummary, strict: bool) -> ImportSummary:
    """The job's result: with ``strict``, one refused row keeps all others out."""
    if strict and summary.refused_count:
        return summary.model_copy(update={"accepted": 0, "archs": 0})
    return summary


def _require_rows(summary: ImportSummary, strict: bool) -> None:
    refused = summary.refused_count
    reasons = "; ".join(f"row {each.row}: {each.reason}" for each in summary.refused[:NAMED])
    if strict and refused:
        raise JobError(
            "bad_rows", f"{refused} of {summary.rows} rows are refused, so none is imported: {reasons}"
        )
    if summary.accepted == 0 and summary.known == 0:
        raise JobError("bad_rows", f"all {summary.rows} rows are refused: {reasons}")
