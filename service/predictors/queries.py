"""Queries on predictors: the newest, whether it is stale, and rows of other targets and supernets to transfer from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from predictors import PREDICTORS
from service.db import queries
from service.db.counts import count_measured_in
from service.db.tables import (
    Measurement,
    Predictor,
    Supernet,
    Target,
)
from service.devices.staleness import stale_reason
from service.measurements.queries import count_by_target, learned_scopes, measured_rows, scope_of
from service.runtime.task import Rows, StepData
from service.supernets.checkpoints import family_of
from service.supernets.queries import supernets_of_networks, supernets_of_space
from supernets.metrics import METRICS
from supernets.spaces.space import Choice, Space


def newest_predictor(
    session: Session, project: str, supernet: str, target: str | None, metric: str
) -> Predictor | None:
    """The newest fitted predictor of a metric for this supernet and target."""
    query = sa.select(Predictor).where(
        Predictor.project_id == project,
        Predictor.supernet_id == supernet,
        Predictor.metric == metric,
        Predictor.target_id.is_(None) if target is None else Predictor.target_id == target,
        Predictor.version.is_not(None),
    )
    return session.scalars(query.order_by(Predictor.created_at.desc(), Predictor.id.desc()).limit(1)).first()


# A target is a source from this many subnets on; the ones with the most rows come first.
ENOUGH_ROWS, MOST_TARGETS, MOST_ROWS = 30, 12, 300
MOST_PRIORS = 3  # other supernets whose evaluations are a prior of quality


class SourceRows(StepData):
    """Rows of the same space from elsewhere: of another target, or of the quality of another supernet (its id)."""

    target: str
    population: Rows
    values: list[float]


def source_targets(
    session: Session, project: str, supernet: Supernet, metric: str, target: str | None
) -> list[str]:
    """Targets with enough rows of this metric on the same networks, ``target`` itself left out."""
    if target is None or METRICS[metric].source != "measured":
        return []
    alike = supernets_of_networks(session, project, supernet)
    counts = count_by_target(session, project, alike, metric)
    found = [(-count, id) for id, count in counts.items() if id != target and count >= ENOUGH_ROWS]
    return [id for _, id in sorted(found)[:MOST_TARGETS]]


def source_rows(
    session: Session, project: str, supernet: Supernet, metric: str, target: str | None
) -> list[SourceRows]:
    """Rows from elsewhere, at most ``MOST_ROWS`` each: of the source devices, or of other supernets for quality."""
    if METRICS[metric].source == "evaluated":
        return _other_evaluations(session, project, supernet, metric)
    alike = supernets_of_networks(session, project, supernet)
    space = family_of(supernet).space()
    known = []
    for id in source_targets(session, project, supernet, metric, target):
        found = [row for each in alike for row in measured_rows(session, project, each, metric, scope_of(id))]
        known.append(_some(id, space, found))
    return known


def _other_evaluations(session: Session, project: str, supernet: Supernet, metric: str) -> list[SourceRows]:
    """Evaluations of this metric by other supernets of the space; those with the most rows come first."""
    space = family_of(supernet).space()
    found = []
    for id in supernets_of_space(session, project, supernet):
        rows = [] if id == supernet.id else measured_rows(session, project, id, metric, scope_of(None))
        if len({tuple(sorted(arch.items())) for arch, _ in rows}) >= ENOUGH_ROWS:
            found.append((-len(rows), id, rows))
    found.sort(key=lambda each: each[:2])
    return [_some(id, space, rows) for _, id, rows in found[:MOST_PRIORS]]


def _some(id: str, space: Space, found: Sequence[tuple[Mapping[str, Choice], Measurement]]) -> SourceRows:
    kept = np.sort(np.random.default_rng(0).permutation(len(found))[:MOST_ROWS])
    population = space.encode(space.arch(found[index][0]) for index in kept)
    values = [found[index][1].value for index in kept]
    return SourceRows(target=id, population=population.tolist(), values=values)


# This many more rows than it was fitted to are worth another fit.
MORE_ROWS, MORE_SHARE = 10, 0.25


def why_stale(session: Session, row: Predictor) -> str | None:
    """Why a fitted predictor should be refitted, or None."""
    return reasons_stale(session, [row])[0]


def reasons_stale(session: Session, rows: Sequence[Predictor]) -> list[str | None]:
    """:func:`why_stale` of each; all must be of one project."""
    if not rows:
        return []
    targets = queries.by_id(
        session, rows[0].project_id, Target, [row.target_id for row in rows if row.target_id]
    )
    counted: dict[tuple[str, str, str | None], int] = {}

    def stored(row: Predictor) -> int:
        key = row.supernet_id, row.metric, row.target_id
        if key not in counted:
            counted[key] = _stored(session, row)
        return counted[key]

    def reason(row: Predictor) -> str | None:
        if row.version is None:
            return None
        target = stale_reason(targets[row.target_id], row.created_at) if row.target_id is not None else None
        if target is not None or not _worth_a_fit(row, stored):
            return target
        return f"it was fitted to {row.rows} subnets, and {stored(row)} are stored by now"

    return [reason(row) for row in rows]


def _why_target(session: Session, row: Predictor) -> str | None:
    """What has happened to the target of a predictor since."""
    if row.target_id is None:
        return None
    target = queries.get(session, row.project_id, Target, row.target_id)
    return stale_reason(target, row.created_at)


def worth_a_fit(session: Session, row: Predictor) -> bool:
    """Whether enough rows were added for another fit; not where the kind can take no more rows."""
    return _worth_a_fit(row, lambda row: _stored(session, row))


def _worth_a_fit(row: Predictor, stored: Callable[[Predictor], int]) -> bool:
    most = PREDICTORS.load(row.kind).most_rows
    if most is not None and row.rows >= most:
        return False
    return stored(row) - row.rows >= max(MORE_ROWS, MORE_SHARE * row.rows)


def _stored(session: Session, row: Predictor) -> int:
    scopes = learned_scopes(row.target_id)
    return count_measured_in(session, row.project_id, row.supernet_id, row.metric, scopes)


def doubts(session: Session, rows: Iterable[Predictor], *, fitted_first: bool = False) -> list[str]:
    """What a user of these predictors should consider before relying on their values.

    ``fitted_first``: they will be refitted to all rows before they are used.
    """
    found = []
    for row in rows:
        of = f"the {row.kind} predictor {row.id} of {row.metric}"
        reason = _why_target(session, row) if fitted_first else why_stale(session, row)
        if reason is not None:
            found.append(f"{of} is stale: {reason}")
        if row.report is not None and row.report.get("calibrated") is False:
            found.append(f"{of} is not calibrated: no subnet was evaluated here, so its errors are unknown")
        if row.report is not None and row.report.get("doubt"):
            found.append(f"{of}: {row.report['doubt']}")
    return found
