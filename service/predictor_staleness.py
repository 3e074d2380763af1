"""When a predictor no longer says what is known: its target changed, or much was measured since."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.orm import Session

from service.db import queries
from service.db.tables import Predictor, Target
from service.problems import scope_of
from service.staleness import stale_reason

# So many more rows than it was fitted to are worth another fit.
MORE_ROWS, MORE_SHARE = 10, 0.25


def why_stale(session: Session, row: Predictor) -> str | None:
    """Why a fitted predictor should be fitted anew, or None."""
    if row.version is None:
        return None
    if row.target_id is not None:
        target = queries.get(session, row.project_id, Target, row.target_id)
        reason = stale_reason(target, row.created_at)
        if reason is not None:
            return reason
    have = queries.count_measured(
        session, row.project_id, row.supernet_id, row.metric, scope_of(row.target_id)
    )
    if have - row.rows >= max(MORE_ROWS, MORE_SHARE * row.rows):
        return f"it was fitted to {row.rows} subnets, and {have} are known by now"
    return None


def doubts(session: Session, rows: Iterable[Predictor]) -> list[str]:
    """What a user of these predictors should know before trusting what they say."""
    found = []
    for row in rows:
        of = f"the {row.kind} predictor {row.id} of {row.metric}"
        reason = why_stale(session, row)
        if reason is not None:
            found.append(f"{of} is stale: {reason}")
        if row.report is not None and row.report.get("calibrated") is False:
            found.append(f"{of} is not calibrated: no subnet evaluated here says how far it errs")
    return found
