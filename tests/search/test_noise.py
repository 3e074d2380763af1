"""Quality values that standard errors cannot tell apart."""

import numpy as np

from search.fronts.noise import within_noise


def test_values_closer_than_the_error_of_their_difference_are_within_noise():
    values, errors = np.array([0.90, 0.91, 0.99]), np.full(3, 0.01)
    close = within_noise(values, errors)
    assert close.tolist() == [[False, True, False], [True, False, False], [False, False, False]]
    # 1.96 * sqrt(2) * 0.01 = 0.0277
    assert within_noise(np.array([0.0, 0.0277]), np.full(2, 0.01))[0, 1]
    assert not within_noise(np.array([0.0, 0.0278]), np.full(2, 0.01))[0, 1]


def test_unknown_or_absent_errors_tell_nothing():
    assert not within_noise(np.array([0.5, 0.5]), np.zeros(2)).any()
    assert not within_noise(np.array([0.5, np.nan]), np.array([0.1, np.nan])).any()
    assert within_noise(np.empty(0), np.empty(0)).shape == (0, 0)
