"""A saved predictor as the cost that a pruner keeps a share of."""

from __future__ import annotations

import numpy as np
import pytest

from predictors import PREDICTORS
from predictors.errors import PredictorFileError, ScopeError
from predictors.predictor import Predictor
from predictors.pruning import predicted_cost
from predictors.scope import Scope
from tests.small import converted_family, small_family

SUPERNET = "a" * 64


def fitted(metric: str = "latency_ms") -> Predictor:
    family = converted_family()
    target, data = ("tgt", None) if metric == "latency_ms" else (None, "b" * 64)
    scope = Scope(
        supernet=SUPERNET, space_sha256=family.space().sha256, metric=metric, target=target, data=data
    )
    kind = "bayesian_linear" if metric == "latency_ms" else "gaussian_process"
    predictor: Predictor = PREDICTORS.load(kind)(family, scope)
    archs = np.unique(family.space().sample(np.random.default_rng(0), 40), axis=0)
    macs = family.costs(archs)["macs"]
    predictor.fit(archs, 0.1 + macs / macs.max() if metric == "latency_ms" else 0.5 + 0.4 * macs / macs.max())
    return predictor


def test_the_cost_is_the_mean_of_the_saved_predictor() -> None:
    predictor, family = fitted(), converted_family()
    found = predicted_cost(predictor.dump(), family, SUPERNET, "prd_1")
    archs = family.space().sample(np.random.default_rng(1), 5)
    assert found.metric == "latency_ms" and found.origin.name == "prd_1"
    np.testing.assert_array_equal(found.cost(archs), predictor.predict(archs)[0])


def test_predictors_of_something_else_are_refused() -> None:
    content, family = fitted().dump(), converted_family()
    with pytest.raises(ScopeError, match="must be of the supernet that is pruned"):
        predicted_cost(content, family, "c" * 64, "prd_1")
    with pytest.raises(ScopeError, match="space"):
        predicted_cost(content, small_family(), SUPERNET, "prd_1")
    with pytest.raises(ScopeError, match="less is better, such as latency_ms, got 'accuracy'"):
        predicted_cost(fitted("accuracy").dump(), family, SUPERNET, "prd_1")
    with pytest.raises(PredictorFileError):
        predicted_cost(b"nothing", family, SUPERNET, "prd_1")
