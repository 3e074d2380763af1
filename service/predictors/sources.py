"""Rows of other targets and supernets of the same space in a project, for predictors that transfer from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from sqlalchemy.orm import Session

from service.db.tables import Measurement, Supernet
from service.measurements.queries import count_by_target, measured_rows, scope_of
from service.runtime.task import Rows, StepData
from service.supernets.checkpoints import family_of
from service.supernets.queries import supernets_of_space
from supernets.metrics import METRICS
from supernets.spaces.space import Choice, Space

# A target is a source from so many subnets on; the ones with the most rows come first.
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
    """Targets with enough rows of this metric on supernets of the same space, ``target`` itself left out."""
    if target is None or METRICS[metric].source != "measured":
        return []
    alike = supernets_of_space(session, project, supernet)
    counts = count_by_target(session, project, alike, metric)
    found = [(-count, id) for id, count in counts.items() if id != target and count >= ENOUGH_ROWS]
    return [id for _, id in sorted(found)[:MOST_TARGETS]]


def source_rows(
    session: Session, project: str, supernet: Supernet, metric: str, target: str | None
) -> list[SourceRows]:
    """Rows from elsewhere, at most ``MOST_ROWS`` each: of the source devices, or of other supernets for quality."""
    if METRICS[metric].source == "evaluated":
        return _other_evaluations(session, project, supernet, metric)
    alike = supernets_of_space(session, project, supernet)
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
