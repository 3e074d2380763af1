"""Which archs with an uncertain quality may be on the front."""

import numpy as np
import pytest

from search.constraints import Constraint
from search.fronts.hopeful import may_be_on_front
from search.fronts.measured import measured_front

KEY = ("accuracy", None)
OBJECTIVES = [KEY, ("macs", None)]
VALUES = {
    KEY: np.array([0.70, 0.75, 0.80, 0.745, 0.60]),
    ("macs", None): np.array([1.0, 2.0, 3.0, 2.0, 2.5]),
}
ERRORS = np.array([0.0, 0.01, 0.0, 0.01, 0.01])


def hopeful(optimism, errors=ERRORS, constraints=(), values=VALUES):
    return may_be_on_front(values, OBJECTIVES, constraints, KEY, errors, optimism).tolist()


def test_members_of_the_expected_front_come_first_and_then_those_within_their_error():
    assert hopeful(0.0) == [1]
    assert hopeful(1.0) == [1, 3]
    assert hopeful(20.0) == [1, 3, 4]


def test_what_is_known_exactly_is_not_returned():
    assert hopeful(5.0, np.zeros(5)) == []


def test_limits_count():
    assert hopeful(1.0, constraints=[Constraint("macs", None, None, 1.5)]) == []
    assert hopeful(1.0, constraints=[Constraint("accuracy", None, 0.752, None)]) == [1, 3]


def test_where_nothing_is_feasible_the_nearest_is_returned():
    limits = [Constraint("accuracy", None, 0.9, None)]
    values = VALUES | {KEY: np.array([0.70, 0.81, 0.80, 0.745, 0.60])}
    assert hopeful(0.0, constraints=limits, values=values) == [1]
    assert hopeful(0.0, np.array([0.0, 0.0, 0.01, 0.0, 0.0]), limits, values) == []


@pytest.mark.parametrize("seed", range(5))
def test_equals_the_front_of_each_arch_with_its_own_optimistic_value(seed):
    rng = np.random.default_rng(seed)
    values = {KEY: rng.uniform(0.6, 0.8, 30), ("macs", None): rng.uniform(1, 3, 30)}
    errors = np.where(rng.random(30) < 0.6, 0.02, 0.0)
    expected = set()
    for row in np.flatnonzero(errors):
        column = values[KEY].copy()
        column[row] += 0.7 * errors[row]
        for used in (values[KEY], column):
            if row in measured_front({**values, KEY: used}, OBJECTIVES).front:
                expected.add(int(row))
    assert set(hopeful(0.7, errors, values=values)) == expected
