"""Queries on predictors."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from service.db.tables import (
    Predictor,
)


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
