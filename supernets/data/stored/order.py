"""Shuffles that stay the same across library versions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NO_LABEL = -1
"""The label of an example without one."""


def permutation(n: int, *seed: int) -> NDArray[np.int64]:
    """A shuffle of ``0..n-1`` that depends on nothing but its arguments; ``(n,) int64``.

    NumPy promises stable streams for bit generators only, not for ``Generator.permutation``; split hashes
    and resumed trainings rely on them, so the raw stream is sorted here.
    """
    return np.argsort(np.random.PCG64(np.random.SeedSequence(seed)).random_raw(n), kind="stable")


def mix(*seed: int) -> int:
    """One 63-bit seed out of several integers, each >= 0."""
    return int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0] >> np.uint64(1))
