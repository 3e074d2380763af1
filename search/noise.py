"""Which quality values of a front differ by more than their standard errors allow to tell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from search.constraints import Values

SURE = 1.96  # standard errors of a difference: two-sided 95 %


def within_noise(values: Values, errors: Values) -> NDArray[np.bool_]:
    """Which pairs ``(n, n)`` of values cannot be told apart; the diagonal is False.

    ``errors (n,)`` are standard errors in the unit of ``values (n,)``; NaN (unknown) tells nothing apart or together.
    The errors are taken as independent. For values of the same examples that is too careful, never too bold, as long
    as harder examples are hard for all.
    """
    gap = np.abs(values[:, None] - values[None, :])
    error = np.sqrt(errors[:, None] ** 2 + errors[None, :] ** 2)
    close = np.asarray(gap <= SURE * error) & (error > 0)
    np.fill_diagonal(close, False)
    return close
