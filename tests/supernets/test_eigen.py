"""Eigenvalues, also where NumPy's routine fails."""

import numpy as np
import pytest

from supernets.eigen import eigh


def matrices():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(21, 84))
    yield rows.T @ rows  # of rank 21
    yield rows.T @ rows + 6e8 * np.eye(84)  # close to a multiple of the identity
    yield np.diag(np.arange(1.0, 6.0))


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("matrix", list(matrices()), ids=("low-rank", "near-identity", "diagonal"))
def test_values_and_vectors_give_the_matrix_whichever_routine_is_used(matrix, fails, monkeypatch):
    if fails:

        def fail(_):
            raise np.linalg.LinAlgError("Eigenvalues did not converge")

        monkeypatch.setattr(np.linalg, "eigh", fail)
    values, vectors = eigh(matrix)
    assert (np.diff(values) >= 0).all()
    size = np.abs(matrix).max()
    np.testing.assert_allclose(vectors * values @ vectors.T, matrix, atol=1e-12 * size)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(len(matrix)), atol=1e-12)


def test_where_the_fast_routine_works_its_result_is_kept_bit_for_bit():
    matrix = next(matrices())
    for got, expected in zip(eigh(matrix), np.linalg.eigh(matrix), strict=True):
        assert np.array_equal(got, expected)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_matrix_that_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match="must be finite"):
        eigh(np.array([[1.0, value], [value, 1.0]]))
