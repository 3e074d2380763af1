"""Quality on a part of the examples: what it is shifted by, and the error that is left."""

import numpy as np
import pytest

from predictors.quality.parts import ASSUMED, PAIRED, Shift

STATED = np.array([0.012, 0.011, 0.013])


def test_without_pairs_the_stated_error_counts_less_what_the_part_shares_with_the_whole():
    shift = Shift.of(np.zeros(0), np.zeros(0), STATED, 0.2)
    assert shift.offset == 0.0
    assert shift.error == pytest.approx(0.012 * np.sqrt(0.8))


def test_pairs_give_the_offset_and_what_is_left_of_the_error():
    rng = np.random.default_rng(0)
    part = rng.uniform(0.7, 0.8, 400)
    whole = part + 0.02 + 0.005 * rng.standard_normal(400)
    shift = Shift.of(whole, part, STATED, 0.2)
    assert shift.offset == pytest.approx(np.mean(whole - part))
    assert shift.error == pytest.approx(0.005, rel=0.1)


def test_the_error_is_a_mean_of_squares_with_four_assumed_pairs():
    whole, part = np.array([0.81, 0.79, 0.80]), np.array([0.80, 0.80, 0.80])
    shift = Shift.of(whole, part, STATED, 0.5)
    expected = PAIRED**2 * 0.012**2 * 0.5
    assert shift.offset == pytest.approx(0.0)
    assert shift.error == pytest.approx(np.sqrt((ASSUMED * expected + 2e-4) / (ASSUMED + 2)))


def test_differences_that_are_all_equal_leave_an_error_above_zero():
    part = np.array([0.5, 0.6, 0.7])
    assert Shift.of(part + 0.01, part, np.array([0.0005]), 0.2).error > 0
