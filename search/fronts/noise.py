"""Which quality values of a front are indistinguishable given their standard errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from search.constraints import Values

SURE = 1.96  # standard errors of a difference: two-sided 95 %


def within_noise(values: Values, errors: Values, rows: Sequence[int] | None = None) -> NDArray[np.bool_]:
    """Which pairs ``(n, n)`` of values are indistinguishable; no value is paired with itself.

    ``errors (n,)`` are standard errors in the unit of ``values (n,)``; pairs with NaN (unknown) are False. With
    ``rows``, only the pairs ``(len(rows), n)`` of these rows with all values.
    The errors are assumed to be independent. For values on the same examples this is conservative as long as harder
    examples are hard for all subnets.
    """
    chosen = np.arange(len(values)) if rows is None else np.asarray(rows, dtype=np.int64)
    gap = np.abs(values[chosen, None] - values[None, :])
    error = np.sqrt(errors[chosen, None] ** 2 + errors[None, :] ** 2)
    close = np.asarray(gap <= SURE * error) & (error > 0)
    close[np.arange(len(chosen)), chosen] = False
    return close
