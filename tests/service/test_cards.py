"""Report cards of many rows: held-out rows are few then, and still never seen by what predicts them."""

import numpy as np
import pytest

from predictors import PREDICTORS
from service.predictors import cards
from tests.predictors.toy import FAMILY, archs, scope_for, true_value


class Store:
    def put(self, content):
        return f"{len(content)} bytes"


@pytest.fixture
def model():
    population = np.unique(archs(200), axis=0)
    fitted = PREDICTORS.load("bayesian_linear")(FAMILY, scope_for("latency_ms"))
    fitted.fit(population, true_value("latency_ms", population))
    return fitted


def card(model):
    told = []
    return cards.report_card(model, None, Store(), lambda share, words: told.append((share, words))), told


def test_few_rows_are_all_held_out_once(model):
    found, told = card(model)
    assert found["n"] == model.rows and found["folds"] == 10
    assert [share for share, _ in told] == sorted(share for share, _ in told) and len(told) == 2


def test_of_many_rows_some_are_held_out_and_the_curve_ends_early(model, monkeypatch):
    monkeypatch.setattr(cards, "ALL_HELD_OUT", 50)
    monkeypatch.setattr(cards, "HELD_OUT", 30)
    monkeypatch.setattr(cards, "CURVE_ROWS", 60)
    trained = []
    fit = type(model).fit

    def noted(self, population, values):
        trained.append({tuple(row) for row in population})
        return fit(self, population, values)

    monkeypatch.setattr(type(model), "fit", noted)
    found, _ = card(model)
    assert found["n"] == 30 and len(found["points"]) == 30
    assert max(step["rows"] for step in found["learning_curve"]) < 60
    # The first fit is of the model that predicts the held-out rows: it saw the others, and none of these.
    assert len(trained[0]) == model.rows - 30
    space = model.space
    for row in found["worst"]:
        [worst] = space.encode([space.arch(row["arch"])]).tolist()
        assert tuple(worst) not in trained[0]
        assert row["measured"] == pytest.approx(float(true_value("latency_ms", np.array([worst]))[0]))
