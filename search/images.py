"""Images as a budget: which subnets are evaluated on a part of the images, and which of them on all.

Every new subnet is evaluated on a part. After each round, those are evaluated on all images that are expected to add
most to the front of what was evaluated on all of them (:func:`search.fronts.exact.largest_gains`), and after the last
round as many as add something. Searches of the service and ``benchmarks/search_cost.py`` follow these rules.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from search.constraints import Values
from search.problem import Surrogate
from supernets.spaces.space import Population

PAIRS = 6
"""Subnets on both a part and all images, whatever their quality is: they show what the part differs by."""
FRESH_PAIRS = 3
"""Of these, the most that are evaluated on all images for this purpose alone."""
WHOLE_PER_NEW = 0.4
"""After a round at most this many subnets are evaluated on all images for each new one on a part."""
LEAST_GAIN = 0.0005
"""Of the hypervolume: a subnet with a smaller expected gain is not evaluated on all images."""
LAST_BATCH, LAST_BATCHES = 6, 8
"""After the rounds: how many are evaluated on all images before the quality predictor is refitted, and how often."""


def whole_after(size: int) -> int:
    """How many subnets may be evaluated on all images after a round of ``size``."""
    return math.ceil(WHOLE_PER_NEW * size)


def believed(model: Surrogate, archs: Population, values: Values, errors: Values) -> tuple[Values, Values]:
    """Expected quality ``(n,)`` and its standard error of evaluated archs, in the unit of the quality.

    ``values (n,)`` have standard ``errors (n,)``; those with an error of 0 are kept. The others are replaced by what
    the model, which has learned from all of them, expects: a value that was selected because it is high is mostly too
    high.
    """
    values, errors = values.copy(), errors.copy()
    parts: NDArray[np.int64] = np.flatnonzero(errors > 0)
    if len(parts):
        mean, std = model.predict(archs[parts])
        values[parts], errors[parts] = mean, np.minimum(std, errors[parts])
    return values, errors
