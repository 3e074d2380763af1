"""The fitted predictor that a pruning recipe goes by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.orm import Session

from predictors.errors import PredictorError
from predictors.pruning import predicted_cost
from service.db import queries
from service.db.tables import Predictor, Supernet, Target
from service.errors import InvalidError
from service.http.deps import Services
from service.predictors.queries import newest_predictor
from service.supernets.checkpoints import manifest_of
from service.training.tasks import PredictorFile

if TYPE_CHECKING:
    from supernets.recipes.recipe import Recipe
    from supernets.training.predicted import PredictedCost


def predictor_of(
    app: Services, project: str, target: str | None, source: Supernet | None, recipe: Recipe
) -> tuple[PredictorFile | None, PredictedCost | None]:
    """The newest predictor of what the recipe keeps, for the source on the target; none where no target is named.

    Raises:
        InvalidError: nothing that has a target is kept, there is no source, or nothing is fitted for it there.
    """
    if target is None:
        return None, None
    pruner = recipe.make_pruner()
    keep = None if pruner is None else pruner.keep
    if source is None:
        message = "target: a predictor belongs to the supernet that is pruned; name it as the source"
        raise InvalidError("target", target, "absent, or with a source", message)
    if keep is None or set(keep) <= set(manifest_of(source).make_family().known_costs):
        message = "target: it is for a pruning recipe that keeps a share of what a predictor gives, such as latency_ms"
        raise InvalidError("target", target, "absent, or with keep such as {'latency_ms': 0.5}", message)
    (metric,) = keep
    with app.database.read() as session:
        wanted = queries.given(session, project, Target, target, "target")
        row = newest_predictor(session, project, source.id, wanted.id, metric)
        fitted = [] if row is not None else _fitted(session, project, source.id, metric)
        metrics = [] if row is not None else _metrics(session, project, source.id, wanted.id)
        session.expunge_all()
    if row is None and not fitted and metrics:
        message = f"keep: no predictor of {metric!r} is fitted for supernet {source.name!r} on any target"
        raise InvalidError("keep", metric, metrics, message)
    if row is None or row.version is None:
        allowed = fitted or "none yet: POST /v1/targets/{id}/measurements, then POST /v1/predictors first"
        message = (
            f"target: no predictor of {metric} is fitted for supernet {source.name!r} on target {target!r}"
        )
        raise InvalidError("target", target, allowed, message)
    manifest = manifest_of(source)
    try:
        cost = predicted_cost(
            app.store.read(row.version), manifest.make_family(), manifest.weights_sha256, row.id
        )
    except PredictorError as error:
        raise InvalidError("target", target, "one whose predictor can be used", f"target: {error}") from error
    return PredictorFile(id=row.id, sha256=row.version), cost


def _metrics(session: Session, project: str, supernet: str, target: str) -> list[str]:
    """Metrics with a fitted predictor for a supernet on a target."""
    query = sa.select(Predictor.metric).where(
        Predictor.project_id == project,
        Predictor.supernet_id == supernet,
        Predictor.target_id == target,
        Predictor.version.is_not(None),
    )
    return sorted(set(session.scalars(query)))


def _fitted(session: Session, project: str, supernet: str, metric: str) -> list[str]:
    """Names of the targets with a fitted predictor of a metric for a supernet."""
    query = (
        sa.select(Target.name)
        .join(Predictor, Predictor.target_id == Target.id)
        .where(
            Predictor.project_id == project,
            Predictor.supernet_id == supernet,
            Predictor.metric == metric,
            Predictor.version.is_not(None),
            Target.archived_at.is_(None),
        )
    )
    return sorted(set(session.scalars(query)))
