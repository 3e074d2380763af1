import numpy as np
import pytest

from predictors.curve import REPEATS, Step, enough_rows, learning_curve
from predictors.quality.gaussian_process import GaussianProcess
from tests.predictors.test_report import Remembering
from tests.predictors.toy import FAMILY, archs, noisy, scope_for


def step(rows, mape, interval_score=1.0):
    return Step(rows=rows, mape=mape, mape_error=0.0, spearman=None, interval_score=interval_score, repeats=3)


def test_the_error_falls_with_rows_that_were_never_predicted_from():
    population = archs(160)
    model = GaussianProcess(FAMILY, scope_for("accuracy"))
    curve = learning_curve(
        model.fresh, model.fewest_rows, population, noisy("accuracy", population, noise=0.001)
    )
    assert [each.rows for each in curve] == [16, 32, 64, 128]
    assert curve[-1].mape < 0.5 * curve[0].mape
    assert all(each.repeats == REPEATS and each.spearman is not None for each in curve)


def test_held_out_rows_are_the_same_for_every_size_and_are_not_learned_from():
    Remembering.seen = []
    learning_curve(Remembering, 2, archs(40), np.arange(1.0, 41.0))  # Remembering refuses rows it has seen
    sizes = [len(model.archs) for model in Remembering.seen]
    assert sizes == [4, 8, 16, 32] * REPEATS
    for start in range(0, len(sizes), 4):
        smallest, largest = Remembering.seen[start], Remembering.seen[start + 3]
        np.testing.assert_array_equal(smallest.archs, largest.archs[:4])


@pytest.mark.parametrize("n", [2, 4, 8])
def test_too_few_rows_give_no_curve(n):
    assert learning_curve(Remembering, 8, archs(n), np.arange(1.0, n + 1)) == []


def test_rows_are_enough_where_more_bring_less_than_a_tenth():
    assert enough_rows([step(10, 0.10), step(20, 0.051), step(40, 0.05)]) == 20
    assert enough_rows([step(10, 0.10), step(20, 0.08), step(40, 0.05)]) is None
    assert enough_rows([step(10, 0.05, 2.0), step(20, 0.05, 1.0), step(40, 0.05, 1.0)]) == 20
    assert enough_rows([step(10, 0.10)]) is None and enough_rows([]) is None
