"""A saved predictor as the cost that a pruner keeps a share of."""

from __future__ import annotations

import hashlib

from predictors.errors import ScopeError
from predictors.predictor import Values, load
from supernets.families.family import Family
from supernets.records import OriginRecord
from supernets.spaces.space import Population
from supernets.training.predicted import PredictedCost


def predicted_cost(content: bytes, family: Family, supernet: str, name: str) -> PredictedCost:
    """The metric of a saved predictor, as means; ``supernet`` is the hash of the weights that are trained further.

    Raises:
        ScopeError: it belongs to another supernet, or more of its metric is better.
        PredictorFileError: the file is no saved predictor.
    """
    predictor = load(content, family)
    scope = predictor.scope
    if scope.supernet != supernet:
        raise ScopeError(
            f"a predictor must be of the supernet that is pruned, {supernet!r}, got one of {scope.supernet!r}"
        )
    if scope.definition.direction != "min":
        raise ScopeError(
            f"a predictor must be of a metric of which less is better, such as latency_ms, got {scope.metric!r}"
        )

    def cost(archs: Population) -> Values:
        return predictor.predict(archs)[0]

    origin = OriginRecord(name=name, sha256=hashlib.sha256(content).hexdigest())
    return PredictedCost(scope.metric, cost, origin)
