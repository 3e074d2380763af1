"""Which quality values of a front are indistinguishable given their standard errors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from search.constraints import Values

SURE = 1.96  # standard errors of a difference: two-sided 95 %


def within_noise(values: Values, errors: Values) -> NDArray[np.bool_]:
    """Which pairs ``(n, n)`` of values are indistinguishable; the diagonal is False.

    ``errors (n,)`` are standard errors in the unit of ``values (n,)``; pairs with NaN (unknown) are False.
    The errors are assumed to be independent. For values on the same examples this is conservative as long as harder
    examples are hard for all subnets.
    """
    gap = np.abs(values[:, None] - values[None, :])
    error = np.sqrt(errors[:, None] ** 2 + errors[None, :] ** 2)
    close = np.asarray(gap <= SURE * error) & (error > 0)
    np.fill_diagonal(close, False)
    return close
