"""What a project knows of other targets of the same space, for predictors that learn from them."""

from __future__ import annotations

import numpy as np
from sqlalchemy.orm import Session

from service.db.tables import Supernet
from service.measurements.queries import count_by_target, measured_rows, scope_of
from service.runtime.task import Rows, StepData
from service.supernets.checkpoints import family_of
from service.supernets.queries import supernets_of_space
from supernets.metrics import METRICS

# A target is known from so many subnets on; the ones with the most rows come first.
ENOUGH_ROWS, MOST_TARGETS, MOST_ROWS = 30, 12, 300


class KnownTarget(StepData):
    """Rows of another target of the same space."""

    target: str
    population: Rows
    values: list[float]


def known_targets(
    session: Session, project: str, supernet: Supernet, metric: str, target: str | None
) -> list[str]:
    """Targets with enough rows of this metric on supernets of the same space, ``target`` itself left out."""
    if target is None or METRICS[metric].source != "measured":
        return []
    alike = supernets_of_space(session, project, supernet)
    counts = count_by_target(session, project, alike, metric)
    found = [(-count, id) for id, count in counts.items() if id != target and count >= ENOUGH_ROWS]
    return [id for _, id in sorted(found)[:MOST_TARGETS]]


def known_rows(
    session: Session, project: str, supernet: Supernet, metric: str, target: str | None
) -> list[KnownTarget]:
    """Rows of the known targets: ``target``, ``population`` and ``values``, at most ``MOST_ROWS`` each."""
    alike = supernets_of_space(session, project, supernet)
    space = family_of(supernet).space()
    known = []
    for id in known_targets(session, project, supernet, metric, target):
        found = [row for each in alike for row in measured_rows(session, project, each, metric, scope_of(id))]
        kept = np.sort(np.random.default_rng(0).permutation(len(found))[:MOST_ROWS])
        population = space.encode(space.arch(found[index][0]) for index in kept)
        values = [found[index][1].value for index in kept]
        known.append(KnownTarget(target=id, population=population.tolist(), values=values))
    return known
