import numpy as np
import pytest
from scipy.stats import spearmanr

from predictors.errors import FitError
from predictors.predictor import load
from predictors.quality.gaussian_process import GaussianProcess, maximise_likelihood
from tests.predictors.toy import FAMILY, SPACE, archs, noisy, scope_for, true_value


def fitted(n=60, noise=0.02, seed=0):
    population = archs(n, seed)
    model = GaussianProcess(FAMILY, scope_for("accuracy"))
    y = np.clip(noisy("accuracy", population, noise, seed), 0.0, 1.0)
    model.fit(population, y)
    return model, population, y


def log_density(shares, parts, y):
    covariance = np.tensordot(shares, parts, 1)
    _, logdet = np.linalg.slogdet(covariance)
    return -0.5 * (y @ np.linalg.solve(covariance, y) + logdet)


def test_the_shares_are_a_maximum():
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((80, 3))
    parts = np.stack([inputs @ inputs.T, np.eye(80)])
    y = inputs @ np.array([1.0, -1.0, 0.5]) + 0.3 * rng.standard_normal(80)
    found = maximise_likelihood(parts, y)
    assert found[1] == pytest.approx(0.09, rel=0.4)
    best = log_density(found, parts, y)
    for change in ([3, 1], [1 / 3, 1], [1, 1.5], [1, 1 / 1.5]):
        assert log_density(found * change, parts, y) < best


def test_predictions_equal_the_textbook():
    model, population, y = fitted(30)
    unseen = archs(90, 3)[60:]
    state = model._state()
    shares, inputs = state["shares"], model._features(population)
    other = model._features(unseen)
    mix = lambda left, right: np.tensordot(shares[:-1], np.stack(model._parts(left, right)), 1)  # noqa: E731
    covariance = mix(inputs, inputs) + (shares[-1] + 1e-8) * np.eye(30)
    cross = mix(inputs, other)
    mean = cross.T @ np.linalg.solve(covariance, (y - y.mean()) / y.std())
    variance = (
        np.diag(mix(other, other)) + shares[-1] - (cross * np.linalg.solve(covariance, cross)).sum(axis=0)
    )
    got, std = model._answer(unseen)
    np.testing.assert_allclose(got, y.mean() + y.std() * mean, rtol=1e-6)
    np.testing.assert_allclose(std, y.std() * np.sqrt(variance), rtol=1e-4)


def test_leave_one_out_residuals_are_those_of_a_model_without_the_row():
    model, population, y = fitted(25)
    residuals, _ = model._learn(population, y)
    shares = model._shares
    parts = np.stack([*model._parts(model._inputs, model._inputs), np.eye(25)])
    covariance = np.tensordot(shares, parts, 1) + 1e-8 * np.eye(25)
    target = (y - y.mean()) / y.std()
    for row in (0, 12):
        kept = np.arange(25) != row
        solved = np.linalg.solve(covariance[np.ix_(kept, kept)], covariance[kept, row])
        std = np.sqrt(covariance[row, row] - covariance[kept, row] @ solved)
        assert residuals[row] == pytest.approx((target[row] - solved @ target[kept]) / std, rel=1e-4)


def test_it_ranks_and_covers():
    ranks, inside = [], []
    for seed in range(4):
        model, _, _ = fitted(100, 0.02, seed)
        unseen = archs(300, seed)[100:]
        mean, _ = model.predict(unseen)
        ranks.append(spearmanr(mean, true_value("accuracy", unseen)).statistic)
        measured = noisy("accuracy", unseen, 0.02, seed + 50)
        inside.append(
            ((model.quantile(unseen, 0.05) <= measured) & (measured <= model.quantile(unseen, 0.95))).mean()
        )
    assert np.mean(ranks) > 0.97
    assert 0.82 <= np.mean(inside) <= 0.97


def test_it_is_less_sure_far_from_what_it_saw():
    largest = SPACE.column("resolution")
    small = SPACE.enumerate()[::7]
    small, large = small[small[:, largest] == 0][:60], small[small[:, largest] == 1][:60]
    model = GaussianProcess(FAMILY, scope_for("accuracy"))
    model.fit(small, noisy("accuracy", small, 0.005))
    assert model.predict(large)[1].mean() > 1.5 * model.predict(small)[1].mean()


def test_quality_stays_a_fraction():
    model, _, _ = fitted(40, 0.5)
    everything = SPACE.enumerate()
    assert model.quantile(everything, 0.9999).max() <= 1.0
    assert model.quantile(everything, 0.0001).min() >= 0.0
    assert model.predict(everything)[0].max() <= 1.0


def slow_process(shares, parts, own, between, target, errors):
    """Mean and variance of a Gaussian process by the textbook: no factorisation, one row at a time."""
    n = len(target)
    covariance = np.zeros((n, n))
    for share, part in zip(shares[:-1], parts, strict=True):
        covariance += share * part
    for row in range(n):
        covariance[row, row] += shares[-1] + 1e-8 + errors[row] ** 2
    inverse = np.linalg.inv(covariance)
    mean, variance = [], []
    for column in range(between[0].shape[1]):
        k = sum(share * part[:, column] for share, part in zip(shares[:-1], between, strict=True))
        mean.append(k @ inverse @ target)
        variance.append(own[column] - k @ inverse @ k)
    return np.array(mean), np.array(variance), inverse


def test_rows_with_standard_errors_equal_a_slow_process():
    population, unseen = archs(40), archs(90, 3)[60:]
    errors = np.random.default_rng(0).choice([0.0, 0.01, 0.04], 40)
    y = np.clip(noisy("accuracy", population, 0.01) + errors * np.random.default_rng(1).normal(size=40), 0, 1)
    model = GaussianProcess(FAMILY, scope_for("accuracy"))
    model.fit(population, y, errors)
    known, new = model._features(population), model._features(unseen)
    unit = y.std()
    own = np.array(
        [
            sum(s * p[0, 0] for s, p in zip(model._shares, model._parts(x[None], x[None]), strict=False))
            for x in new
        ]
    )
    mean, variance, inverse = slow_process(
        model._shares,
        model._parts(known, known),
        own + model._shares[-1],
        model._parts(known, new),
        (y - y.mean()) / unit,
        errors / unit,
    )
    got, std = model._answer(unseen)
    np.testing.assert_allclose(got, y.mean() + unit * mean, rtol=1e-6)
    np.testing.assert_allclose(std, unit * np.sqrt(variance), rtol=1e-4)
    residuals, _ = model._learn(population, y)
    np.testing.assert_allclose(
        residuals, inverse @ ((y - y.mean()) / unit) / np.sqrt(np.diag(inverse)), rtol=1e-5
    )


def test_a_row_with_a_large_standard_error_counts_for_little():
    population = archs(60)
    y = noisy("accuracy", population, 0.005)
    wrong = np.where(np.arange(60) % 3 == 0, np.clip(y - 0.2, 0, 1), y)
    errors = np.where(np.arange(60) % 3 == 0, 0.2, 0.0)
    off = []
    for told in (errors, None):
        model = GaussianProcess(FAMILY, scope_for("accuracy"))
        model.fit(population, wrong, told)
        unseen = archs(200, 4)[60:]
        off.append(np.abs(model.predict(unseen)[0] - true_value("accuracy", unseen)).mean())
    assert off[0] < 0.5 * off[1]


def test_standard_errors_of_zero_change_nothing_and_are_saved_otherwise(tmp_path):
    population = archs(40)
    y = noisy("accuracy", population)
    plain, zero, some = (GaussianProcess(FAMILY, scope_for("accuracy")) for _ in range(3))
    plain.fit(population, y)
    zero.fit(population, y, np.zeros(40))
    some.fit(population, y, np.full(40, 0.01))
    assert plain.dump() == zero.dump() != some.dump()
    loaded = load(some.dump(), FAMILY)
    assert loaded.dump() == some.dump()
    assert loaded.report(folds=4).as_json() == some.report(folds=4).as_json()


@pytest.mark.parametrize("errors", [np.zeros(39), np.full(40, -0.1), np.full(40, np.nan)])
def test_standard_errors_that_cannot_be_true_are_refused(errors):
    model = GaussianProcess(FAMILY, scope_for("accuracy"))
    with pytest.raises(FitError, match="standard errors must be 40 finite numbers from 0"):
        model.fit(archs(40), noisy("accuracy", archs(40)), errors)
