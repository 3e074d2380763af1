import numpy as np
import pytest
from scipy.stats import norm

from predictors.quality.elsewhere import MOST_DENSITY, TRUST, Line, WithPriors, mixed, odds

RNG = np.random.default_rng(0)
ALL = np.stack(np.meshgrid(*[np.arange(3)] * 5, indexing="ij"), axis=-1).reshape(-1, 5)
ALL = ALL[RNG.permutation(len(ALL))]
EFFECTS = RNG.normal(size=(5, 3))
TWISTS = RNG.normal(size=(5, 3))


def quality(archs):
    at = np.arange(5), archs
    return EFFECTS[at].sum(axis=1) + 0.3 * np.sin(TWISTS[at].sum(axis=1))


def scattered(values, seed):
    """A prior with these values of the archs in ``ALL``, and noise."""
    noise = 0.1 * np.random.default_rng(seed).normal(size=len(ALL))
    table = {row.tobytes(): value for row, value in zip(ALL, values + noise, strict=True)}
    return lambda archs: np.array([table[row.tobytes()] for row in archs])


class Textbook:
    """A Gaussian process with fixed shares, by plain inverses."""

    def _cover(self, left, right):
        same = (left[:, None, :] == right[None, :, :]).sum(axis=2)
        return same / 5.0 + 0.2 * np.exp(same - 5.0)

    def fit(self, archs, y):
        self.archs, self.mean, self.unit = archs, y.mean(), y.std()
        self.inverse = np.linalg.inv(self._cover(archs, archs) + 0.01 * np.eye(len(y)))
        self.weights = self.inverse @ ((y - self.mean) / self.unit)

    def predict(self, archs):
        cross = self._cover(archs, self.archs)
        variance = 1.21 - np.einsum("ij,jk,ik->i", cross, self.inverse, cross)
        return self.mean + self.unit * (cross @ self.weights), self.unit * np.sqrt(variance)

    def left_out(self):
        precision = np.diag(self.inverse)
        std = self.unit / np.sqrt(precision)
        return norm.logpdf(self.unit * self.weights / precision, scale=std)


def made(*priors):
    return WithPriors(lambda _: Textbook(), priors)


def test_a_line_that_the_rows_follow_is_found():
    prior = np.array([1.0, 2.0, 4.0, 8.0])
    line = Line.through(prior, 3.0 + 2.0 * prior)
    assert (line.offset, line.slope) == pytest.approx((3.0, 2.0))


def test_a_constant_prior_gives_the_mean():
    line = Line.through(np.full(5, 7.0), np.arange(5.0))
    assert np.isfinite(line.slope) and line(np.full(2, 7.0)) == pytest.approx(np.full(2, 2.0))


def test_equal_densities_leave_the_odds_as_they_were_and_one_row_changes_them_by_little():
    none = np.zeros(30)
    first, second = odds([none, none])
    assert second / first == pytest.approx(np.exp(TRUST))
    wild = none.copy()
    wild[3] = -1e9
    first, second = odds([none, wild])
    assert second / first == pytest.approx(np.exp(TRUST - MOST_DENSITY))
    assert odds([none]).tolist() == [1.0]


def test_a_mixture_has_the_moments_of_its_draws():
    weights = np.array([0.3, 0.7])
    mean, std = mixed(weights, [(np.array([1.0]), np.array([0.5])), (np.array([3.0]), np.array([0.2]))])
    rng = np.random.default_rng(1)
    second = rng.random(400_000) < 0.7
    draws = np.where(second, rng.normal(3.0, 0.2, 400_000), rng.normal(1.0, 0.5, 400_000))
    assert (mean[0], std[0]) == pytest.approx((draws.mean(), draws.std()), abs=0.01)


def test_a_good_prior_gets_the_weight_and_halves_the_error():
    few, rest = ALL[:10], ALL[10:]
    model, without = made(scattered(40.0 + 0.5 * quality(ALL), 1)), Textbook()
    model.fit(few, quality(few))
    without.fit(few, quality(few))
    assert model.weights[1] > 0.9
    errors = [np.abs(each.predict(rest)[0] - quality(rest)).mean() for each in (model, without)]
    assert errors[0] < 0.5 * errors[1]


@pytest.mark.parametrize("seed", range(8))
def test_a_shuffled_prior_is_recognised_within_twenty_rows(seed):
    rng = np.random.default_rng(seed)
    few = ALL[rng.permutation(len(ALL))[:20]]
    model, without = made(scattered(rng.permutation(quality(ALL)), seed)), Textbook()
    model.fit(few, quality(few))
    without.fit(few, quality(few))
    assert model.weights[1] < 0.01
    assert np.abs(model.predict(ALL)[0] - without.predict(ALL)[0]).max() < 0.03 * quality(ALL).std()


def test_a_prior_of_the_other_direction_is_not_used():
    few = ALL[:20]
    model = made(scattered(-quality(ALL), 0))
    model.fit(few, quality(few))
    assert model.weights[1] < 0.01


def test_of_two_priors_the_better_one_gets_the_weight():
    few = ALL[:25]
    poor = scattered(quality(ALL) + np.random.default_rng(2).normal(size=len(ALL)), 0)
    model = made(poor, scattered(quality(ALL), 1))
    model.fit(few, quality(few))
    assert model.weights[2] > 0.9 and model.weights.sum() == pytest.approx(1.0)


def test_without_a_prior_nothing_changes():
    few = ALL[:20]
    model, without = made(), Textbook()
    model.fit(few, quality(few))
    without.fit(few, quality(few))
    for got, wanted in zip(model.predict(ALL), without.predict(ALL), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12)
