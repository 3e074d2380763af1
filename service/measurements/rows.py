"""What jobs read from the database and write into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from service.db import queries
from service.db.tables import Measurement, Search, Supernet, Target, Unsupported
from service.devices.hardware import is_measurable
from service.ids import new_id
from service.measurements.lookup import NOT_MEASURED
from service.measurements.queries import measured_rows, scope_of, unsupported_archs
from service.runtime.context import WorkContext
from service.supernets.checkpoints import family_of
from service.supernets.queries import ensure_subnets
from supernets.families.family import Family
from supernets.spaces.space import Population

Json = dict[str, Any]
Rows = list[list[int]]
EXTRA_METRICS = ("peak_memory_mb", "energy_mj")


def bench_of(run: WorkContext, supernet: Supernet) -> Json:
    """What a child process needs to know to work on a supernet."""
    settings = run.settings
    return {
        "artifacts": settings.artifacts,
        "cache": str(settings.home.resolve() / "cache"),
        "data": str(settings.data.resolve()) if settings.data is not None else None,
        "threads": settings.threads,
        "files": supernet.files,
    }


def target_of(session: Session, run: WorkContext, id: str) -> Json:
    """A target as the measuring task wants it."""
    row = queries.get(session, run.project, Target, id)
    return {
        "name": row.name,
        "kind": row.kind,
        "description": row.description,
        "settings": row.settings,
        "calibrations": row.calibrations,
        "fingerprint": row.fingerprint,
        "knowledge": None if is_measurable(row.kind) else _knowledge(session, run, row),
    }


def _knowledge(session: Session, run: WorkContext, target: Target) -> Json:
    """What a search may say of a target that cannot measure: its rows, and the predictor the search began with."""
    search = queries.get(session, run.project, Search, run.params["search"])
    supernet = queries.get(session, run.project, Supernet, search.supernet_id)
    population, values = training_rows(session, run, supernet, "latency_ms", target.id)
    used = [entry["version"] for entry in run.params["predictors"] if entry["target"] == target.id]
    return {
        "id": target.id,
        "population": population,
        "values": values,
        "predictor": used[0] if used else None,
        "confidence": search.spec["confidence"],
        "precision": target.settings["precision"],
    }


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
    run: WorkContext,
    supernet: Supernet,
    target: str,
    step: str,
    population: Population,
    result: Mapping[str, Any],
) -> list[float | None]:
    """Write the usable timings of a run, and the target's calibrations if it had none; returns the values."""
    row = queries.get(session, run.project, Target, target)
    if row.calibrations is None:
        row.calibrations = result["calibrations"]
    ids = subnet_ids(session, run, supernet, population)
    runtime = (row.description or {}).get("runtime")
    rows, unsupported = [], []
    for subnet, timing, extra in zip(ids, result["timings"], result["extras"], strict=True):
        if timing["verdict"] == "unsupported":
            unsupported.append(_unsupported(run, supernet, subnet, target, timing["error"]))
        if timing["latency_ms"] is None or timing["verdict"] in NOT_MEASURED:
            continue
        common = {
            "precision": result["precision"],
            "protocol_version": str(timing["protocol_version"]),
            "verdict": timing["verdict"],
        }
        proof = {
            "file_sha256": timing["sha256"],
            "provenance": extra.get("provenance") or {"runtime": runtime},
        }
        rows.append(
            _row(run, supernet, step, subnet, "latency_ms", target)
            | common
            | {
                "value": timing["latency_ms"],
                "spread": timing["standard_error_ms"],
                "n": timing["rounds"],
                "statistic": timing["statistic"],
                "details": {
                    "raw": {**timing["raw_ms"], "n": timing["raw_n"]},
                    "reference": timing["reference"],
                    **proof,
                },
            }
        )
        for metric in EXTRA_METRICS:
            if metric in extra:
                found = {**extra[metric], "details": proof}
                rows.append(_row(run, supernet, step, subnet, metric, target) | common | found)
    queries.insert_new(session, Measurement, rows)
    queries.insert_new(session, Unsupported, unsupported)
    return [timing["latency_ms"] for timing in result["timings"]]


def _unsupported(run: WorkContext, supernet: Supernet, subnet: str, target: str, error: str | None) -> Json:
    return {
        "id": new_id("uns"),
        "project_id": run.project,
        "job_id": run.id,
        "supernet_id": supernet.id,
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
    session: Session,
    run: WorkContext,
    supernet: Supernet,
    step: str,
    population: Population,
    evaluations: Sequence[Mapping[str, Any]],
) -> list[str]:
    """Write evaluations on a split; returns the subnets' ids."""
    ids = subnet_ids(session, run, supernet, population)
    rows = []
    for subnet, found in zip(ids, evaluations, strict=True):
        row = _row(run, supernet, step, subnet, found["metric"], None)
        rows.append(
            row
            | {
                "scope": f"split:{found['split']}",
                "split": found["split"],
                "value": found["value"],
                "spread": found["standard_error"],
                "n": found["n"],
                "statistic": "mean over images",
                "precision": found["precision"],
                "protocol_version": None,
                "verdict": None,
                "details": {name: found[name] for name in ("split_sha256", "stats_sha256")},
            }
        )
    queries.insert_new(session, Measurement, rows)
    return ids


def store_brought(
    session: Session,
    run: WorkContext,
    supernet: Supernet,
    step: str,
    population: Population,
    brought: Mapping[str, Any],
) -> None:
    """Write rows that were measured elsewhere; ``brought`` has ``values``, ``counts``, ``spreads`` in their order."""
    target = run.params["target"]
    ids = subnet_ids(session, run, supernet, population)
    row = queries.get(session, run.project, Target, target)
    table = run.params["table"]
    details = {"file_sha256": table["file"], "column": table["latency"], "unit": table["unit"]}
    rows = [
        _row(run, supernet, step, subnet, "latency_ms", target)
        | {
            "value": value,
            "spread": spread,
            "n": count,
            "statistic": "as brought" if count == 1 else "median of the rows brought",
            "precision": row.settings["precision"],
            "protocol_version": None,
            "verdict": None,
            "details": details,
        }
        for subnet, value, count, spread in zip(
            ids, brought["values"], brought["counts"], brought["spreads"], strict=True
        )
    ]
    queries.insert_new(session, Measurement, rows)


def _row(
    run: WorkContext, supernet: Supernet, step: str, subnet: str, metric: str, target: str | None
) -> Json:
    return {
        "id": new_id("mea"),
        "project_id": run.project,
        "job_id": run.id,
        "step": step,
        "supernet_id": supernet.id,
        "subnet_id": subnet,
        "target_id": target,
        "metric": metric,
        "scope": scope_of(target),
        "split": None,
    }


def training_rows(
    session: Session, run: WorkContext, supernet: Supernet, metric: str, target: str | None
) -> tuple[Rows, list[float]]:
    """Everything measured of a metric on a target (or on validation), as rows of choices and values."""
    found = measured_rows(session, run.project, supernet.id, metric, scope_of(target))
    space = family_of(supernet).space()
    population = space.encode(space.arch(arch) for arch, _ in found)
    return population.tolist(), [row.value for _, row in found]


def population_of(family: Family, rows: Rows) -> Population:
    """JSON rows as a population."""
    import numpy as np

    return np.array(rows, dtype=np.int64).reshape(len(rows), family.space().d)
