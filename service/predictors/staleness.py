"""When a predictor is out of date: its target changed, or many rows were measured since."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.orm import Session

from predictors import PREDICTORS
from service.db import queries
from service.db.counts import count_measured
from service.db.tables import Predictor, Target
from service.devices.staleness import stale_reason
from service.measurements.queries import scope_of

# So many more rows than it was fitted to are worth another fit.
MORE_ROWS, MORE_SHARE = 10, 0.25


def why_stale(session: Session, row: Predictor) -> str | None:
    """Why a fitted predictor should be refitted, or None."""
    if row.version is None:
        return None
    reason = _why_target(session, row)
    if reason is not None:
        return reason
    if worth_a_fit(session, row):
        return f"it was fitted to {row.rows} subnets, and {_known(session, row)} are known by now"
    return None


def _why_target(session: Session, row: Predictor) -> str | None:
    """What has happened to the target of a predictor since."""
    if row.target_id is None:
        return None
    target = queries.get(session, row.project_id, Target, row.target_id)
    return stale_reason(target, row.created_at)


def worth_a_fit(session: Session, row: Predictor) -> bool:
    """Whether so much is known by now that another fit would tell more; not where the kind can take no more rows."""
    most = PREDICTORS.load(row.kind).most_rows
    if most is not None and row.rows >= most:
        return False
    return _known(session, row) - row.rows >= max(MORE_ROWS, MORE_SHARE * row.rows)


def _known(session: Session, row: Predictor) -> int:
    return count_measured(session, row.project_id, row.supernet_id, row.metric, scope_of(row.target_id))


def doubts(session: Session, rows: Iterable[Predictor], *, fitted_first: bool = False) -> list[str]:
    """What a user of these predictors should know before trusting what they say.

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
