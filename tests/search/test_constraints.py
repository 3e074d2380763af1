import math

import numpy as np
import pytest

from search.constraints import Constraint, merged, violations
from search.errors import ConstraintError
from supernets.errors import UnknownNameError


@pytest.mark.parametrize("limit", [math.nan, math.inf, -math.inf, -1.0, True, "20"])
@pytest.mark.parametrize("side", ["min", "max"])
def test_a_limit_must_be_a_finite_number_that_is_not_negative(side, limit):
    with pytest.raises(ConstraintError, match=f"{side} of latency_ms@t must be"):
        Constraint("latency_ms", "t", **{side: limit})


def test_other_nonsense_is_refused():
    with pytest.raises(ConstraintError, match="needs min or max"):
        Constraint("latency_ms", "t")
    with pytest.raises(ConstraintError, match="must be above 0"):
        Constraint("latency_ms", "t", max=0)
    with pytest.raises(ConstraintError, match="at most 1, got 93.5"):
        Constraint("accuracy", min=93.5)
    with pytest.raises(ConstraintError, match="min <= max"):
        Constraint("params", min=5, max=4)
    with pytest.raises(UnknownNameError, match="latency_ms"):
        Constraint("latency", max=1)


def test_constraints_on_the_same_thing_are_merged_or_contradict():
    several = [Constraint("params", max=5), Constraint("params", max=4), Constraint("params", min=1)]
    assert merged(several) == (Constraint("params", min=1, max=4),)
    assert len(merged([Constraint("latency_ms", "a", max=1), Constraint("latency_ms", "b", min=2)])) == 2
    with pytest.raises(ConstraintError, match="min <= max must hold for latency_ms@a, got min 3 and max 2"):
        merged([Constraint("latency_ms", "a", max=2), Constraint("latency_ms", "a", min=3)])


def test_violation_is_the_sum_of_relative_excess():
    limits = [Constraint("latency_ms", "t", max=2.0), Constraint("accuracy", min=0.5)]
    values = {
        ("latency_ms", "t"): np.array([1.0, 3.0, 3.0, np.nan]),
        ("accuracy", None): np.array([0.5, 0.6, 0.4, 1.0]),
    }
    assert np.allclose(violations(limits, values, 4), [0.0, 0.5, 0.7, np.inf])
