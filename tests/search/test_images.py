"""The rules of images as a budget."""

import numpy as np

from search.images import believed, whole_after


class Halfway:
    """Expects 1 with a standard deviation of .02."""

    def predict(self, archs):
        return np.ones(len(archs)), np.full(len(archs), 0.02)


def test_exact_values_are_kept_and_no_error_grows():
    archs = np.zeros((3, 2), dtype=np.int64)
    values, errors = np.array([0.5, 0.6, 0.7]), np.array([0.0, 0.01, 0.05])
    found, left = believed(Halfway(), archs, values, errors)
    assert found.tolist() == [0.5, 1.0, 1.0] and left.tolist() == [0.0, 0.01, 0.02]
    assert values.tolist() == [0.5, 0.6, 0.7] and errors.tolist() == [0.0, 0.01, 0.05]
    assert believed(Halfway(), archs, values, np.zeros(3))[0].tolist() == values.tolist()


def test_a_round_is_followed_by_fewer_exact_evaluations_than_it_has_subnets():
    assert [whole_after(size) for size in (0, 1, 5, 8)] == [0, 1, 2, 4]
