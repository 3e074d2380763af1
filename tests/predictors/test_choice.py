"""Which kind is chosen, and what is said about it."""

import numpy as np
import pytest

from predictors import PREDICTORS
from predictors.choice import choose_kind, fewest_rows, kinds_for, kinds_that_could
from predictors.errors import FitError
from predictors.latency.transfer import FewShotTransfer
from predictors.report import Report
from supernets.metrics import METRICS
from tests.predictors.test_transfer import device, known_predictor
from tests.predictors.toy import FAMILY, archs, noisy, scope_for

LATENCY, ACCURACY = METRICS["latency_ms"], METRICS["accuracy"]


def maker(metric, known=()):
    def make(kind):
        cls = PREDICTORS.load(kind)
        return (
            cls(FAMILY, scope_for(metric), 0, known) if cls.uses_sources else cls(FAMILY, scope_for(metric))
        )

    return make


def test_the_interval_score_is_width_and_twenty_times_what_lies_outside():
    measured, lower, upper = np.array([10.0, 10.0, 10.0]), np.array([9.0, 11.0, 8.0]), np.array([12.0, 13, 9])
    report = Report(measured, measured, lower, upper, folds=2)
    np.testing.assert_allclose(report.interval_scores, [0.3, 0.2 + 20 * 0.1, 0.1 + 20 * 0.1])
    assert report.as_json()["interval_score"] == pytest.approx(report.interval_scores.mean())


def test_nets_that_take_next_to_nothing_do_not_decide_alone():
    """On some devices a few nets compile to nothing: a thousandth of the others' latency."""
    measured = np.array([10.0, 10, 10, 0.001])
    near = Report(measured, measured, measured - 0.1, measured + [0.1, 0.1, 0.1, 0.5], folds=2)
    np.testing.assert_allclose(near.interval_scores, [0.02, 0.02, 0.02, 0.6])
    population = archs(40)
    values = noisy("latency_ms", population)
    values[:3] /= 10_000
    choice = choose_kind(maker("latency_ms"), LATENCY, population, values)
    for each in choice.candidates:
        assert each.note is not None or np.isfinite([each.interval_score, each.standard_error]).all()


@pytest.mark.parametrize("metric", [LATENCY, ACCURACY], ids=lambda metric: metric.name)
def test_every_kind_that_suits_is_in_the_table_with_figures_or_a_note(metric):
    population = archs(24)
    told = []
    choice = choose_kind(
        maker(metric.name),
        metric,
        population,
        noisy(metric.name, population),
        on_progress=lambda *step: told.append(step),
    )
    assert {each.kind for each in choice.candidates} == set(kinds_for(metric))
    assert choice.candidates[0].kind == choice.kind and choice.candidates[0].interval_score is not None
    for each in choice.candidates:
        assert (each.interval_score is None) == (each.note is not None)
    rest = [each.interval_score for each in choice.candidates[1:] if each.interval_score is not None]
    assert rest == sorted(rest)
    assert choice.reason.startswith(f"{choice.kind}: mean CV interval score")
    assert "over 24 rows in 5 folds" in choice.reason
    assert [done for done, _, _ in told] == list(range(1, len(kinds_for(metric)) + 1))
    import json

    assert json.loads(json.dumps(choice.as_json()))["kind"] == choice.kind


def test_with_known_targets_and_few_rows_transfer_is_chosen():
    known = [known_predictor(seed) for seed in range(1, 6)]
    make = maker("latency_ms", FewShotTransfer(FAMILY, scope_for("latency_ms"), known=known).known)
    population = archs(10, seed=4)
    choice = choose_kind(make, LATENCY, population, device(20, population), known=True)
    assert choice.kind == "transfer" and choice.folds == 5
    scores = {each.kind: each.interval_score for each in choice.candidates}
    assert scores["transfer"] < scores["roofline_proxy"]


def test_the_default_stays_where_the_difference_is_luck(monkeypatch):
    """Reports are made up here: the rule is what is tested."""
    from predictors import choice as module

    measured = np.ones(40)
    rng = np.random.default_rng(0)

    def made(width, spread):
        half = width * (1 + spread * rng.standard_normal(40)) / 2
        return Report(measured, measured, measured - half, measured + half, folds=5)

    near = {"bayesian_linear": made(0.101, 0.3), "trees": made(0.100, 0.3)}
    near = dict(sorted(near.items()))
    kind, reason = module._decide(near, "bayesian_linear", list(near), 40, 5)
    assert kind == "bayesian_linear"
    better = {"bayesian_linear": made(0.2, 0.1), "trees": made(0.1, 0.1)}
    kind, reason = module._decide(better, "bayesian_linear", list(better), 40, 5)
    assert kind == "trees" and "bayesian_linear" in reason


def test_two_rows_are_enough_for_the_proxy_and_one_is_for_nothing():
    assert fewest_rows(LATENCY) == 2 and kinds_that_could(LATENCY, 2) == ["roofline_proxy"]
    population = archs(2)
    choice = choose_kind(maker("latency_ms"), LATENCY, population, noisy("latency_ms", population))
    assert choice.kind == "roofline_proxy" and "too few to hold any out" in choice.reason
    with pytest.raises(FitError, match="at least 2 different archs"):
        choose_kind(maker("latency_ms"), LATENCY, population[:1], np.ones(1))
