"""Quality on a part of the examples as an estimate of the quality on all of them.

All subnets are evaluated on the same part, so most of its error is common: the part is easier or harder than the
whole. Subnets that were evaluated on both show by how much, and what remains as the error of one subnet: the paired
differences. Without such pairs the standard error of the quality itself, which is larger, is all that is known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

ASSUMED = 4.0
"""Number of pairs that the error expected without pairs counts as."""
PAIRED = 0.7
"""Expected share of the standard error that is left when the part is the same for all subnets."""


@dataclass(frozen=True, slots=True)
class Shift:
    """What is added to a quality on a part, and the standard error of the sum; both in the unit of the quality."""

    offset: float
    error: float

    @classmethod
    def of(cls, whole: Values, part: Values, stated: Values, share: float) -> Self:
        """From pairs.

        Args:
            whole: quality on all examples ``(k,)``; ``k`` may be 0.
            part: quality of the same subnets on the part ``(k,)``.
            stated: standard errors of qualities on the part, of any subnets ``(m,)``, at least one.
            share: the part's share of all examples, above 0 and below 1; an error vanishes as it goes to 1.
        """
        expected = float(np.median(stated)) * math.sqrt(1.0 - share)
        if not len(whole):
            return cls(0.0, expected)
        differences = whole - part
        offset = float(differences.mean())
        squares = float(np.square(differences - offset).sum())
        pairs = len(whole) - 1
        variance = (ASSUMED * (PAIRED * expected) ** 2 + squares) / (ASSUMED + pairs)
        return cls(offset, math.sqrt(variance))
