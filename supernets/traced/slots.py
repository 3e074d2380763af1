"""Channel slots: which entries of which tensors are one channel and must be kept or removed together. No torch.

Every entry along a followed axis of a tensor has a slot, an integer. Slots that must go together are united;
slots that must stay are frozen, with the reason. Classes are computed once, at the end, in time linear in the
number of slots and unions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Labels = NDArray[np.int64]
"""The slot of each entry along an axis."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why channels stay: ``reason`` in words, ``where`` is the operator, ``module`` and ``line`` its origin."""

    reason: str
    where: str = ""
    module: str = ""
    line: str = ""


@dataclass(frozen=True)
class Classes:
    """Slots in classes. ``of[slot]`` is the class, ``fault[cls]`` an index into ``faults``, or -1 where it may go.

    ``approximate[cls]``: removing it changes a statistic over channels, so that a smaller network is no longer
    exactly the larger one with these channels at zero.
    """

    of: NDArray[np.int64]
    fault: NDArray[np.int64]
    faults: tuple[Fault, ...]
    approximate: NDArray[np.bool_]

    @property
    def n(self) -> int:
        """Number of classes."""
        return len(self.fault)


class Slots:
    """Hands out slots, and notes which belong together and which must stay."""

    def __init__(self) -> None:
        self._n = 0
        self._left: list[Labels] = []
        self._right: list[Labels] = []
        self._frozen: list[tuple[Labels, int]] = []
        self._approximate: list[Labels] = []
        self._faults: dict[Fault, int] = {}

    def fresh(self, n: int) -> Labels:
        """``n`` new slots."""
        labels = np.arange(self._n, self._n + n, dtype=np.int64)
        self._n += n
        return labels

    def unite(self, left: Labels, right: Labels) -> None:
        """Entry ``i`` of both belongs together; both have one length."""
        if left is right:
            return
        if left.shape != right.shape:
            raise ValueError(f"united labels must have one length, got {left.shape} and {right.shape}")
        self._left.append(left)
        self._right.append(right)

    def freeze(self, labels: Labels | None, fault: Fault) -> None:
        """These must stay."""
        if labels is not None:
            index = self._faults.setdefault(fault, len(self._faults))
            self._frozen.append((labels, index))

    def approximate(self, labels: Labels) -> None:
        """Removing these is only approximate."""
        self._approximate.append(labels)

    def classes(self) -> Classes:
        """The classes of all slots."""
        if self._n == 0:
            empty = np.zeros(0, dtype=np.int64)
            return Classes(empty, empty, (), empty.astype(bool))
        left = np.concatenate([np.zeros(0, dtype=np.int64), *self._left])
        right = np.concatenate([np.zeros(0, dtype=np.int64), *self._right])
        edges = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(self._n, self._n))
        n, of = connected_components(edges, directed=False)
        of = of.astype(np.int64)
        fault = np.full(n, len(self._faults), dtype=np.int64)
        for labels, index in self._frozen:
            np.minimum.at(fault, of[labels], index)
        fault[fault == len(self._faults)] = -1
        approximate = np.zeros(n, dtype=bool)
        for labels in self._approximate:
            approximate[of[labels]] = True
        return Classes(of, fault, tuple(self._faults), approximate)
