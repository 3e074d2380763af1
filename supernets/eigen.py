"""Eigenvalues of symmetric matrices, where the fast routine of a BLAS library may fail."""

from __future__ import annotations

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def eigh(matrix: Matrix) -> tuple[Matrix, Matrix]:
    """Eigenvalues ``(k,)``, ascending, and eigenvectors ``(k, k)`` in columns, of a symmetric matrix ``(k, k)``.

    LAPACK's divide and conquer, which NumPy uses, does not converge in some builds for finite matrices that are close
    to a multiple of the identity. QR iterations, which are slower, then take its place.

    Raises:
        ValueError: a value of the matrix is not finite.
    """
    if not np.isfinite(matrix).all():
        raise ValueError("every value of a symmetric matrix must be finite, got NaN or an infinity")
    try:
        values, vectors = np.linalg.eigh(matrix)
    except np.linalg.LinAlgError:
        values, vectors = scipy.linalg.eigh(matrix, driver="ev")
    return values, vectors
