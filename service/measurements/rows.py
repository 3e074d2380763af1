"""What jobs read from the database and write into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy.orm import Session

from service.db import queries
from service.db.counts import add_measurements
from service.db.tables import Supernet, Target, Unsupported
from service.devices.hardware import is_measurable
from service.ids import new_id
from service.measurements.models import (
    NOT_MEASURED,
    ImportedRows,
    Measured,
    MeasuredTarget,
    Quality,
    StoredLatencies,
)
from service.measurements.parts import Shifted, shifted_parts
from service.measurements.queries import measured_rows, part_scope, scope_of, unsupported_archs
from service.measurements.schemas import ImportParams
from service.runtime.context import WorkContext
from service.supernets.bench import population_of
from service.supernets.checkpoints import family_of
from service.supernets.queries import ensure_subnets
from supernets.metrics import LATENCY
from supernets.spaces.space import Population

Json = dict[str, object]
Rows = list[list[int]]


@dataclass(frozen=True)
class Origin:
    """The step of a job that rows come from, and the supernet that they are of."""

    job: WorkContext
    supernet: Supernet
    step: str


class TrainingRows(NamedTuple):
    """Rows of choices, values, and standard errors beyond the noise that all rows have; 0 for most."""

    population: Rows
    values: list[float]
    errors: list[float]


def target_of(session: Session, run: WorkContext, id: str, lookup: StoredLatencies | None) -> MeasuredTarget:
    """A target as the measuring task needs it."""
    row = queries.get(session, run.project, Target, id)
    return MeasuredTarget(
        id=row.id,
        name=row.name,
        kind=row.kind,
        description=row.description,
        settings=row.settings,
        calibrations=row.calibrations,
        fingerprint=row.fingerprint,
        lookup=None if is_measurable(row.kind) else lookup,
    )


def subnet_ids(session: Session, run: WorkContext, supernet: Supernet, population: Population) -> list[str]:
    """Subnets of a population, in its order, made where they are new."""
    family = family_of(supernet)
    archs = family.space().decode(population)
    costs = family.costs(population)
    entries = [
        (arch.id, arch.as_dict(), {name: float(costs[name][index]) for name in family.known_costs})
        for index, arch in enumerate(archs)
    ]
    ids = ensure_subnets(session, run.project, supernet.id, entries)
    return [ids[arch.id] for arch in archs]


def store_timings(
    session: Session,
    origin: Origin,
    target: str,
    population: Population,
    result: Measured,
) -> None:
    """Write the usable values of a run, and the target's calibrations if it had none.

    A net whose latency was refused, as on a busy machine, keeps its other metrics: they do not depend on it.
    """
    row = queries.get(session, origin.job.project, Target, target)
    if row.calibrations is None and result.calibrations is not None:
        row.calibrations = {name: each.as_json() for name, each in result.calibrations.items()}
    ids = subnet_ids(session, origin.job, origin.supernet, population)
    runtime = (row.description or {}).get("runtime")
    rows, unsupported = [], []
    for subnet, timing in zip(ids, result.timings, strict=True):
        if timing.verdict == "unsupported":
            unsupported.append(_unsupported(origin, subnet, target, timing.error))
        if timing.verdict in NOT_MEASURED:
            continue
        common = {
            "precision": result.precision,
            "protocol_version": timing.protocol_version,
            "verdict": None if timing.latency_ms is None else timing.verdict,
        }
        proof = {"file_sha256": timing.sha256, "provenance": timing.provenance or {"runtime": runtime}}
        values = {metric: extra.model_dump() | {"details": proof} for metric, extra in timing.extras.items()}
        if timing.latency_ms is not None:
            raw = {"raw": {**timing.raw_ms, "n": timing.raw_n}, "reference": timing.reference}
            values[LATENCY] = {
                "value": timing.latency_ms,
                "spread": timing.standard_error_ms,
                "n": timing.rounds,
                "statistic": timing.statistic,
                "details": {**raw, **proof},
            }
        rows += [_row(origin, subnet, metric, target) | common | value for metric, value in values.items()]
    add_measurements(session, rows)
    queries.insert_new(session, Unsupported, unsupported)


def _unsupported(origin: Origin, subnet: str, target: str, error: str | None) -> dict[str, str]:
    return {
        "id": new_id("uns"),
        "project_id": origin.job.project,
        "job_id": origin.job.id,
        "supernet_id": origin.supernet.id,
        "subnet_id": subnet,
        "target_id": target,
        "error": error or "no reason given",
    }


def unsupported_rows(session: Session, run: WorkContext, supernet: Supernet, targets: Sequence[str]) -> Rows:
    """Archs that some of these targets cannot run, as rows of choices: nothing to propose."""
    space = family_of(supernet).space()
    archs = unsupported_archs(session, run.project, supernet.id, targets)
    return space.encode(space.arch(arch) for arch in archs).tolist() if archs else []


def store_evaluations(
    session: Session, origin: Origin, population: Population, evaluations: Sequence[Quality]
) -> list[str]:
    """Write evaluations on a split, or on a part of it; returns the subnets' ids."""
    ids = subnet_ids(session, origin.job, origin.supernet, population)
    rows = []
    for subnet, found in zip(ids, evaluations, strict=True):
        row = _row(origin, subnet, found.metric, None)
        rows.append(
            row
            | {
                "scope": part_scope(found.split) if found.part else scope_of(None, found.split),
                "split": found.split,
                "value": found.value,
                "spread": found.standard_error,
                "n": found.n,
                "statistic": "mean over examples",
                "precision": found.precision,
                "protocol_version": None,
                "verdict": None,
                "details": {"split_sha256": found.split_sha256, "stats_sha256": found.stats_sha256},
            }
        )
    add_measurements(session, rows)
    return ids


def store_imported(session: Session, origin: Origin, params: ImportParams, rows: ImportedRows) -> None:
    """Write rows that were measured elsewhere."""
    target = queries.get(session, origin.job.project, Target, params.target)
    population = population_of(family_of(origin.supernet), rows.population)
    ids = subnet_ids(session, origin.job, origin.supernet, population)
    details = {"file_sha256": params.file, "column": params.latency, "unit": params.unit}
    written = [
        _row(origin, subnet, LATENCY, target.id)
        | {
            "value": value,
            "spread": spread,
            "n": count,
            "statistic": "as imported" if count == 1 else "median of the imported rows",
            "precision": target.settings["precision"],
            "protocol_version": None,
            "verdict": None,
            "details": details,
        }
        for subnet, value, count, spread in zip(ids, rows.values, rows.counts, rows.spreads, strict=True)
    ]
    add_measurements(session, written)


def _row(origin: Origin, subnet: str, metric: str, target: str | None) -> Json:
    return {
        "id": new_id("mea"),
        "project_id": origin.job.project,
        "job_id": origin.job.id,
        "step": origin.step,
        "supernet_id": origin.supernet.id,
        "subnet_id": subnet,
        "target_id": target,
        "metric": metric,
        "scope": scope_of(target),
        "split": None,
    }


def training_rows(
    session: Session, run: WorkContext, supernet: Supernet, metric: str, target: str | None
) -> TrainingRows:
    """Everything measured of a metric on a target (or on validation), as rows of choices and values.

    Of a subnet without an evaluation on all of validation, that on a part of it counts, with its standard error.
    """
    found = [
        Shifted(arch, row.value, 0.0)
        for arch, row in measured_rows(session, run.project, supernet.id, metric, scope_of(target))
    ]
    if target is None:
        found += shifted_parts(session, run.project, supernet)
    space = family_of(supernet).space()
    population = space.encode(space.arch(arch) for arch, _, _ in found)
    return TrainingRows(
        population=population.tolist(),
        values=[value for _, value, _ in found],
        errors=[error for _, _, error in found],
    )
