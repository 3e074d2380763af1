"""What is known before a search begins: evaluations in the database, and what searches before it confirmed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy.orm import Session

from service.db import queries
from service.db.tables import Measurement, Search, Supernet
from service.measurements.queries import measured_rows, scope_of
from service.runtime import job_queries
from service.runtime.context import WorkContext
from service.supernets.checkpoints import family_of
from supernets.spaces.space import Arch

Json = dict[str, Any]
LONGEST_LINEAGE = 1000
CONFIRM = "confirm"


def whole_evaluations(
    session: Session,
    run: WorkContext,
    supernet: Supernet,
    targets: Sequence[str],
    spec: Json,
    extends: str | None,
    extras: Sequence[str] = (),
) -> Json:
    """Archs of the (restricted) space with quality on validation and a latency on every target, oldest first.

    ``extras`` are measured metrics that must be known too. Of several measurements on a target the middle one
    counts. Confirmations by the searches that this one ``extends`` stay apart: they had no part in choosing,
    and go on counting as confirmations. A confirmation by any other search is a measurement like others, and
    a finalist is confirmed anew.
    """
    space = family_of(supernet).space()
    lineage = lineage_jobs(session, run.project, extends)
    quality, archs = _quality(session, run, supernet, "validation")
    metrics = ["latency_ms", *extras]
    measured = {
        target: {metric: _rows(session, run, supernet, metric, target) for metric in metrics}
        for target in targets
    }
    whole = [id for id in quality if all(id in rows for by in measured.values() for rows in by.values())]
    population = space.encode([space.arch(archs[id]) for id in whole])
    inside = space.restrict(spec["restrict"]).member(population)
    predicted = _predicted(session, lineage)
    found: Json = {"population": population[inside].tolist(), "quality": [], "predicted": []}
    found |= {"timings": {target: [] for target in targets}, "confirmations": {t: [] for t in targets}}
    for row in found["population"]:
        found["predicted"].append(predicted.get(tuple(row), []))
    for id in (id for id, kept in zip(whole, inside, strict=True) if kept):
        found["quality"].append(quality[id])
        for target in targets:
            first: dict[str, Measurement] = {}
            confirmed: dict[str, Measurement] = {}
            for metric, rows in measured[target].items():
                own = [row for row in rows[id] if row.job_id in lineage and row.step.startswith(CONFIRM)]
                first[metric] = _middle([row for row in rows[id] if row not in own] or own)
                confirmed |= {metric: own[-1]} if own else {}
            found["timings"][target].append(_timing(first))
            complete = len(confirmed) == len(metrics)
            found["confirmations"][target].append(_timing(confirmed) if complete else None)
    return found


def lineage_jobs(session: Session, project: str, extends: str | None) -> list[str]:
    """Jobs of the search with this id and of all that it goes on from, the oldest first."""
    jobs: list[str] = []
    for _ in range(LONGEST_LINEAGE):
        if extends is None:
            break
        row = queries.get(session, project, Search, extends)
        jobs += [row.job_id] if row.job_id is not None else []
        extends = row.extends_id
    return jobs[::-1]


def known_quality(session: Session, run: WorkContext, supernet: Supernet, split: str) -> dict[str, Json]:
    """Evaluations on a split by arch id, as the evaluating task gives them."""
    return _quality(session, run, supernet, split)[0]


def _quality(
    session: Session, run: WorkContext, supernet: Supernet, split: str
) -> tuple[dict[str, Json], dict[str, Json]]:
    wanted = supernet.manifest["data"]["splits"][split]["sha256"]
    rows = measured_rows(session, run.project, supernet.id, supernet.manifest["quality"], f"split:{split}")
    rows = [(arch, row) for arch, row in rows if row.details.get("split_sha256") in (None, wanted)]
    found = {
        _id(arch): {
            "metric": row.metric,
            "value": row.value,
            "standard_error": row.spread,
            "n": row.n,
            "split": row.split,
            "precision": row.precision,
            **{name: row.details.get(name) for name in ("split_sha256", "stats_sha256")},
        }
        for arch, row in rows
    }
    return found, {_id(arch): arch for arch, _ in rows}


def known_timings(
    session: Session, run: WorkContext, supernet: Supernet, target: str, extras: Sequence[str] = ()
) -> dict[str, Json]:
    """The middle one of the latencies on a target, by arch id, where the ``extras`` are known too."""
    found = {m: _rows(session, run, supernet, m, target) for m in ("latency_ms", *extras)}
    return {
        id: _timing({metric: _middle(rows[id]) for metric, rows in found.items()})
        for id in found["latency_ms"]
        if all(id in rows for rows in found.values())
    }


def _timing(rows: dict[str, Measurement]) -> Json:
    extras = {
        metric: {"value": row.value, "spread": row.spread, "n": row.n, "statistic": row.statistic}
        for metric, row in rows.items()
        if metric != "latency_ms"
    }
    return {**timing_of(rows["latency_ms"]), "extras": extras}


def timing_of(row: Measurement) -> Json:
    """A stored latency as the measuring task gives it."""
    raw = dict(row.details.get("raw") or {})
    return {
        "latency_ms": row.value,
        "standard_error_ms": row.spread,
        "rounds": row.n,
        "statistic": row.statistic,
        "protocol_version": row.protocol_version,
        "verdict": row.verdict,
        "raw_n": raw.pop("n", None),
        "raw_ms": raw,
        "reference": row.details.get("reference") or {},
    }


def _rows(
    session: Session, run: WorkContext, supernet: Supernet, metric: str, target: str
) -> dict[str, list[Measurement]]:
    """Rows by arch; of several versions of the protocol only the newest, as others are on another scale."""
    rows = measured_rows(session, run.project, supernet.id, metric, scope_of(target))
    newest = max(
        (row.protocol_version for _, row in rows if row.protocol_version), key=_as_number, default=None
    )
    found: dict[str, list[Measurement]] = {}
    for arch, row in rows:
        if row.protocol_version in (None, newest):
            found.setdefault(_id(arch), []).append(row)
    return found


def _as_number(version: str) -> tuple[int, str]:
    return (int(version), "") if version.isdigit() else (-1, version)


def _middle(rows: Iterable[Measurement]) -> Measurement:
    ordered = sorted(rows, key=lambda row: row.value)
    return ordered[(len(ordered) - 1) // 2]


def _id(arch: Json) -> str:
    return Arch(tuple(arch.items())).id


def _predicted(session: Session, jobs: Sequence[str]) -> dict[tuple[int, ...], list[Json]]:
    """What was predicted of an arch before anything of it was seen, by the searches before."""
    found: dict[tuple[int, ...], list[Json]] = {}
    for job in jobs:
        for step in job_queries.steps_of(session, job):
            if step.step.startswith("propose ") and step.result is not None:
                rows = step.result["population"]
                found.update(
                    (tuple(row), said) for row, said in zip(rows, step.result["predicted"], strict=True)
                )
    return found
