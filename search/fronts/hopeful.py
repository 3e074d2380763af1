"""Which archs with an uncertain quality may be on the front, and so deserve a more exact evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.constraints import Constraint, Key, Values
from search.fronts.measured import measured_front
from search.problem import Objective
from supernets.metrics import metric_named


def may_be_on_front(
    values: Mapping[Key, Values],
    objectives: Sequence[Objective | tuple[str, Any]],
    constraints: Iterable[Constraint],
    key: Key,
    errors: Values,
    optimism: float,
) -> NDArray[np.int64]:
    """Rows that are on the front with their own value of ``key`` as expected, or ``optimism`` standard errors better.

    All others have their expected ``values (n,)``. ``errors (n,)`` are standard errors, 0 for what is known exactly
    and is therefore not returned. Rows on the expected front come first. Where nothing is feasible, the nearest row
    counts as the front.
    """
    limits = list(constraints)
    sign = metric_named(key[0]).sign
    expected = np.asarray(values[key], dtype=np.float64)

    def front(column: Values) -> set[int]:
        found = measured_front({**values, key: column}, objectives, limits)
        rows = found.front.tolist()
        return set(rows if rows or found.nearest is None else [found.nearest])

    uncertain = np.flatnonzero((errors > 0) & np.isfinite(expected)).tolist()
    certain = front(expected)
    found = [row for row in uncertain if row in certain]
    for row in uncertain:
        column = expected.copy()
        column[row] -= sign * optimism * errors[row]
        if row not in certain and row in front(column):
            found.append(row)
    return np.array(found, dtype=np.int64)
