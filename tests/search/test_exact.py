"""Which archs are worth an exact evaluation: by expected gain of hypervolume."""

import numpy as np
import pytest

from search.constraints import Constraint
from search.fronts.exact import Uncertain, largest_gains
from search.fronts.front import hypervolume

QUALITY, MACS = ("accuracy", None), ("macs", None)
OBJECTIVES = [QUALITY, MACS]
REFERENCE = np.array([0.0, 10.0])


def gains(quality, macs, errors, most=10, least=0.0, reference=REFERENCE, constraints=()):
    values = {QUALITY: np.array(quality, dtype=float), MACS: np.array(macs, dtype=float)}
    archs = Uncertain(values, QUALITY, np.array(errors, dtype=float))
    return largest_gains(archs, OBJECTIVES, constraints, reference, most, least).tolist()


def test_rows_come_in_the_order_of_what_they_add_and_each_counts_for_the_next():
    quality, macs = [0.5, 0.8, 0.75, 0.76, 0.7], [1, 9, 5, 6, 9]
    errors = [0, 0, 1e-6, 1e-6, 1e-6]
    assert gains(quality, macs, errors, most=2) == [2, 3]
    assert gains(quality, macs, errors, least=0.01) == [2]
    # A row with a large error is worth more than one that is known well.
    assert gains(quality, macs, [0, 0, 1e-6, 0.8, 1e-6], most=1) == [3]


def test_what_is_exact_or_unknown_is_never_returned():
    assert gains([0.5, 0.9], [1, 2], [0, 0]) == []
    assert gains([0.5, np.nan], [1, 2], [0, 0.1]) == []
    assert gains([0.5, 0.9], [1, 2], [0, 0.1], most=0) == []


@pytest.mark.parametrize("seed", range(4))
def test_the_first_row_has_the_largest_mean_gain_over_many_draws(seed):
    rng = np.random.default_rng(seed)
    quality, macs = rng.uniform(0.6, 0.8, 12), rng.uniform(1, 9, 12)
    errors = np.where(np.arange(12) < 4, 0.0, rng.uniform(0.005, 0.05, 12))
    known = np.stack([-quality, macs], axis=1)[errors == 0]
    before, draws = hypervolume(known, REFERENCE), rng.standard_normal(4_000)
    mean = np.zeros(12)
    for row in np.flatnonzero(errors):
        points = np.stack([-quality[row] - errors[row] * draws, np.full(len(draws), macs[row])], axis=1)
        mean[row] = (
            np.mean([hypervolume(np.concatenate([known, p[None]]), REFERENCE) for p in points[:1500]])
            - before
        )
    first = gains(quality, macs, errors, most=1)[0]
    assert mean[first] >= 0.9 * mean.max()


def test_limits_count_and_where_nothing_is_feasible_the_nearest_is_returned():
    quality, macs, errors = [0.5, 0.8, 0.75], [1, 9, 5], [0, 0.01, 0.01]
    assert gains(quality, macs, errors, constraints=[Constraint("macs", None, None, 6.0)]) == [2]
    tight = [Constraint("macs", None, None, 0.5)]
    assert gains(quality, macs, errors, constraints=tight) == []
    assert gains(quality, macs, [0.01, 0, 0.01], constraints=tight) == [0]
    # A limit on the uncertain metric is met with some probability.
    limit = [Constraint("accuracy", None, 0.77, None)]
    assert gains([0.5, 0.8, 0.76], macs, [0, 0, 0.02], constraints=limit) == [2]
    assert gains([0.5, 0.8, 0.66], macs, [0, 0, 0.02], constraints=limit) == []


def test_without_a_reference_that_of_all_expected_scores_is_used():
    quality, macs, errors = [0.5, 0.8, 0.75], [1, 9, 5], [0, 0, 0.01]
    assert gains(quality, macs, errors, reference=None) == [2]
