import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictors.errors import FitError
from predictors.report import Report, cross_validate, score
from tests.predictors.toy import archs


class Remembering:
    """Predicts the mean of what it was fitted to, and notes what that was."""

    seen: list

    def fit(self, archs, y, errors=None):
        self.archs, self.mean, self.low, self.high = archs, y.mean(), y.min(), y.max()
        Remembering.seen.append(self)

    def predict(self, archs):
        held = {row.tobytes() for row in self.archs}
        assert not any(row.tobytes() in held for row in archs), "a held-out row was learned from"
        return np.full(len(archs), self.mean), np.ones(len(archs))

    def quantile(self, archs, p):
        return np.full(len(archs), self.low + p * (self.high - self.low))


@pytest.fixture(autouse=True)
def forget():
    Remembering.seen = []


def test_figures_of_known_predictions():
    measured = np.array([1.0, 2.0, 4.0, 5.0])
    predicted = np.array([1.1, 1.8, 4.0, 6.0])
    figures = Report(measured, predicted, predicted - 0.15, predicted + 0.15, folds=2).as_json(points=True)
    assert figures["spearman"] == figures["kendall"] == pytest.approx(1.0)
    assert figures["mape"] == pytest.approx((0.1 + 0.1 + 0 + 0.2) / 4)
    assert figures["median_ape"] == pytest.approx(0.1)
    assert figures["bias"] == pytest.approx((0.1 - 0.1 + 0 + 0.2) / 4)
    assert figures["coverage90"] == 0.5
    assert figures["width90"] == pytest.approx(np.mean(0.3 / measured))
    assert figures["points"][1]["measured"] == 2.0
    assert figures["n"] == 4 and figures["noise_ceiling"] is None


def test_a_correlation_with_what_does_not_vary_is_none():
    same = np.ones(4)
    report = Report(np.arange(1.0, 5.0), same, same, same, folds=2)
    assert report.spearman is None and report.kendall is None


@given(st.integers(2, 12), st.integers(0, 5))
def test_every_row_is_held_out_once_with_all_rows_of_its_arch(folds, seed):
    Remembering.seen = []
    population = np.concatenate([archs(9), archs(5)])
    y = np.arange(1.0, 15.0)
    report = cross_validate(Remembering, population, y, folds, seed)
    assert report.folds == min(folds, 9) == len(Remembering.seen)
    np.testing.assert_array_equal(report.measured, y)
    assert sum(len(y) - len(model.archs) for model in Remembering.seen) == len(y)


def test_a_report_is_reproducible_and_needs_two_archs():
    population, y = archs(12), np.random.default_rng(0).random(12) + 1
    first = cross_validate(Remembering, population, y, 4, 3).as_json(points=True)
    assert first == cross_validate(Remembering, population, y, 4, 3).as_json(points=True)
    assert first != cross_validate(Remembering, population, y, 4, 4).as_json(points=True)
    with pytest.raises(FitError, match="2 distinct"):
        cross_validate(Remembering, population[[0, 0]], y[:2], 4, 0)


def test_scoring_on_unseen_rows():
    model = Remembering()
    model.fit(archs(5), np.arange(1.0, 6.0))
    report = score(model, archs(9)[5:], np.full(4, 3.0), noise_ceiling=0.8)
    assert report.n == 4 and report.as_json()["mape"] == 0 and report.noise_ceiling == 0.8


def test_the_plot_is_a_png():
    values = np.arange(1.0, 9.0)
    png = Report(values, values * 1.1, values, values * 1.2, folds=2).plot("latency (ms)")
    assert png.startswith(b"\x89PNG") and len(png) > 2000


def test_a_report_says_when_its_order_is_chance_or_at_the_noise_ceiling():
    def report(noise, ceiling=None, n=100):
        rng = np.random.default_rng(0)
        truth = np.linspace(0.8, 0.9, n)
        predicted = truth + noise * rng.standard_normal(n)
        return Report(truth, predicted, predicted - 0.1, predicted + 0.1, 10, ceiling)

    assert "not better than chance" in report(10.0).doubt and report(10.0).as_json()["doubt"]
    assert report(0.001).doubt is None, "a good order"
    limited = report(0.02, ceiling=0.7)
    assert "more images for each evaluation would" in limited.doubt and "0.91" in limited.doubt
    assert report(0.05, ceiling=0.95).doubt is None, "better evaluations are not what it lacks"
