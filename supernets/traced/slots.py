"""Channel slots: which entries of which tensors are one channel and must be kept or removed together. No torch.

Every entry along a followed axis of a tensor has a slot, an integer. Slots that must go together are united;
slots that must stay are frozen, with the reason. An axis that is split (channels into heads and places within a head)
has slots of its own for each part: a channel stays where its head stays and its place stays. Classes are computed once,
at the end, in time linear in the number of slots and unions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from supernets.traced.splits import Solved, Split, solve

Labels = NDArray[np.int64]
"""The slot of each entry along an axis."""
Amounts = TypeVar("Amounts", bound="NDArray[np.bool_] | NDArray[np.int64]")
"""Whether something stays, or how often it occurs."""


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
    exactly the larger one with these channels at zero. ``parts[cls]`` are the classes that must all stay for a class to
    stay, with -1 behind them: itself, or for a channel of a split axis its head and its place. ``read[cls]``: a
    product of two values sums over it, so that it is used even where no weight reads it.
    """

    of: NDArray[np.int64]
    fault: NDArray[np.int64]
    faults: tuple[Fault, ...]
    approximate: NDArray[np.bool_]
    parts: NDArray[np.int64]
    read: NDArray[np.bool_]

    @property
    def n(self) -> int:
        """Number of classes."""
        return len(self.fault)

    def parts_of(self, labels: Labels) -> NDArray[np.int64]:
        """The parts of each entry, ``(entries, most parts)``, with -1 behind them."""
        return self.parts[self.of[labels]]

    def spread(self, amounts: Amounts) -> Amounts:
        """From the amounts of classes without parts those of all classes: their products."""
        padded = np.concatenate([amounts, np.ones(1, dtype=amounts.dtype)])
        found: Amounts = np.multiply.reduce(padded[self.parts], axis=1, dtype=amounts.dtype)
        return found


class Slots:
    """Hands out slots, and notes which belong together and which must stay."""

    def __init__(self) -> None:
        self._n = 0
        self._left: list[Labels] = []
        self._right: list[Labels] = []
        self._frozen: list[tuple[Labels, int]] = []
        self._approximate: list[Labels] = []
        self._read: list[Labels] = []
        self.splits: list[Split] = []
        """All splits of axes, in the order of the network."""
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

    def split(self, entries: Labels, parts: Sequence[Labels]) -> None:
        """Entry ``i`` stays where entry ``i`` of every part stays, which are new axes; all have one length."""
        self.splits.append(Split(entries, np.stack(parts)))

    def merge(self, entries: Labels, parts: Sequence[Labels]) -> None:
        """As :meth:`split`, of axes that are merged."""
        self.splits.append(Split(entries, np.stack(parts), made=False))

    def read(self, labels: Labels | None) -> None:
        """A product of two values sums over these."""
        if labels is not None:
            self._read.append(labels)

    def classes(self) -> Classes:
        """The classes of all slots."""
        solved = solve(self._n, (self._left, self._right), self._frozen, self.splits)
        approximate = _marked(self._approximate, solved)
        within = solved.parts[approximate]
        approximate[within[within >= 0]] = True
        read = _marked(self._read, solved)
        return Classes(solved.of, solved.fault, tuple(self._faults), approximate, solved.parts, read)


def _marked(found: Sequence[Labels], solved: Solved) -> NDArray[np.bool_]:
    marks = np.zeros(len(solved.fault), dtype=bool)
    for labels in found:
        marks[solved.of[labels]] = True
    return marks
