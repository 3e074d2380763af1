"""Evaluations elsewhere as a prior of quality."""

import numpy as np
import pytest

from predictors.choice import choose_kind, default_kind
from predictors.predictor import load
from predictors.quality.gaussian_process import GaussianProcess
from predictors.quality.transfer import QualityTransfer
from tests.predictors.test_choice import ACCURACY, maker
from tests.predictors.toy import FAMILY, archs, noisy, scope_for, true_value

UNSEEN = archs(200, seed=9)[60:]


def elsewhere(values):
    """A predictor fitted to 60 archs with these values of them."""
    model = GaussianProcess(FAMILY, scope_for("accuracy", supernet="other"))
    population = archs(60, seed=5)
    model.fit(population, np.clip(values(population), 0, 1))
    return model


def related(population):
    return 0.3 + 0.5 * noisy("accuracy", population, 0.005, seed=6)


def shuffled(population):
    return np.random.default_rng(7).permutation(noisy("accuracy", population, 0.005, seed=6))


def fitted(known, rows=12):
    model = QualityTransfer(FAMILY, scope_for("accuracy"), known=known)
    population = archs(rows, seed=1)
    model.fit(population, noisy("accuracy", population, 0.005, seed=1))
    return model


def test_a_prior_that_holds_lowers_the_error_of_few_rows():
    model, without = fitted([elsewhere(related)]), fitted([])
    assert model.weights[0] > 0.8
    errors = [
        np.abs(each.predict(UNSEEN)[0] - true_value("accuracy", UNSEEN)).mean() for each in (model, without)
    ]
    assert errors[0] < 0.7 * errors[1]


def test_a_prior_that_does_not_hold_loses_its_weight_and_changes_nothing():
    model, without = fitted([elsewhere(shuffled)], rows=20), fitted([], rows=20)
    assert model.weights[0] < 0.01
    change = np.abs(model.predict(UNSEEN)[0] - without.predict(UNSEEN)[0])
    assert change.max() < 0.05 * true_value("accuracy", UNSEEN).std()


def test_without_a_prior_it_is_the_gaussian_process():
    model, plain = fitted([]), GaussianProcess(FAMILY, scope_for("accuracy"))
    plain.fit(*model.data)
    np.testing.assert_allclose(model.predict(UNSEEN)[0], plain.predict(UNSEEN)[0], rtol=1e-12)
    assert model.weights == []


def test_leave_one_out_residuals_of_the_mixture_have_the_size_that_they_say():
    model = fitted([elsewhere(related)], rows=60)
    residuals, _ = model._learn(*model.data)
    assert 0.5 < np.sqrt(np.mean(np.square(residuals))) < 1.6


def test_priors_are_saved_with_it():
    model = fitted([elsewhere(related), elsewhere(shuffled)], rows=20)
    again = load(model.dump(), FAMILY, model.scope)
    assert again.weights == model.weights
    for left, right in zip(model.predict(UNSEEN), again.predict(UNSEEN), strict=True):
        np.testing.assert_array_equal(left, right)
    assert again.dump() == model.dump()
    assert again.fresh().known and again.report(folds=3).as_json() == model.report(folds=3).as_json()


def test_it_is_the_default_where_something_is_known_elsewhere(monkeypatch):
    kinds = ["gaussian_process", "quality_transfer"]
    monkeypatch.setattr("predictors.choice.kinds_for", lambda _metric: kinds)
    assert default_kind(ACCURACY, known=True) == "quality_transfer"
    assert default_kind(ACCURACY, known=False) == "gaussian_process"
    population = archs(20, seed=1)
    values = noisy("accuracy", population, 0.005, seed=1)
    choice = choose_kind(maker("accuracy", [elsewhere(related)]), ACCURACY, population, values, known=True)
    assert choice.kind == "quality_transfer"
    alone = choose_kind(maker("accuracy"), ACCURACY, population, values)
    note = next(each.note for each in alone.candidates if each.kind == "quality_transfer")
    assert alone.kind == "gaussian_process" and "no other supernet of this space" in note


@pytest.mark.parametrize("errors", [np.zeros(12), np.linspace(0, 0.02, 12)])
def test_standard_errors_of_rows_reach_every_process(errors):
    model = QualityTransfer(FAMILY, scope_for("accuracy"), known=[elsewhere(related)])
    population = archs(12, seed=1)
    model.fit(population, noisy("accuracy", population, 0.005, seed=1), errors)
    plain = fitted([elsewhere(related)])
    same = np.array_equal(model.predict(UNSEEN)[0], plain.predict(UNSEEN)[0])
    assert same == (not errors.any())
