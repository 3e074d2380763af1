"""Slots in classes where axes are split: what goes together, and what stays only with all its parts. No torch.

A channel of a split axis stays where its head stays and its place within the head stays: it is a class with two
parts. What is known of channels is passed on to their parts until nothing changes: a channel that must stay needs all
its parts; a channel with a single part that may go is that part; two splits of one channel have equal parts, in order.
Splits that do not fit to each other go as one: all their channels and parts are united, which is always safe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Ints = NDArray[np.int64]
MOST_ROUNDS = 100
"""Each round unites or freezes something; what is left then goes as one."""
MOST_PARTS = 6
"""Of a channel that is split several times; one with more goes as one with its parts."""


@dataclass(frozen=True)
class Split:
    """``entries`` ``(n,)`` are slots; entry ``i`` stays where all of ``parts[:, i]`` stay, ``(parts, n)`` slots.

    ``made``: the parts are new axes; otherwise axes that were there are merged.
    """

    entries: Ints
    parts: Ints
    made: bool = True


@dataclass(frozen=True)
class Solved:
    """``of[slot]`` is the class, ``fault[cls]`` the number of a fault or -1, ``parts[cls]`` its parts, -1 behind."""

    of: Ints
    fault: Ints
    parts: Ints


def solve(
    n: int,
    united: tuple[Sequence[Ints], Sequence[Ints]],
    frozen: Sequence[tuple[Ints, int]],
    splits: Sequence[Split],
) -> Solved:
    """The classes of ``n`` slots; see the module."""
    solver = _Solver(n, united, frozen, splits)
    for _ in range(MOST_ROUNDS):
        if not solver.simplify() and solver.expand():
            return solver.solved()
    solver.collapse(np.ones(len(solver.entries), dtype=bool))
    solver.simplify()
    solver.expand()
    return solver.solved()


class _Solver:
    """Rows are splits of one entry each; parts that stay anyway, and the missing ones of short rows, are -1."""

    def __init__(
        self,
        n: int,
        united: tuple[Sequence[Ints], Sequence[Ints]],
        frozen: Sequence[tuple[Ints, int]],
        splits: Sequence[Split],
    ) -> None:
        nothing = np.zeros(0, dtype=np.int64)
        self._n = n
        self._left, self._right = (list(side) or [nothing] for side in united)
        self._stays = np.concatenate([nothing, *(labels for labels, _ in frozen)])
        self._why = np.concatenate([nothing, *(np.full(len(labels), index) for labels, index in frozen)])
        width = max((len(split.parts) for split in splits), default=1)
        self.entries = np.concatenate([nothing, *(split.entries for split in splits)])
        self.parts = np.concatenate(
            [np.zeros((0, width), dtype=np.int64), *(_padded(split.parts.T, width) for split in splits)]
        )
        self._classify()

    def _classify(self) -> None:
        left, right = np.concatenate(self._left), np.concatenate(self._right)
        if self._n:
            ones = np.ones(len(left), dtype=np.int8)
            edges = coo_array((ones, (left, right)), shape=(self._n, self._n))
            count, of = connected_components(edges, directed=False)
            self.of = of.astype(np.int64)
        else:
            count, self.of = 0, np.zeros(0, dtype=np.int64)
        highest = np.iinfo(np.int64).max
        fault = np.full(count, highest, dtype=np.int64)
        np.minimum.at(fault, self.of[self._stays], self._why)
        self.fault = np.where(fault == highest, -1, fault)
        self._slot = np.zeros(count, dtype=np.int64)
        self._slot[self.of] = np.arange(self._n)  # a slot of each class
        self._left, self._right = [left], [right]

    def _unite(self, left: Ints, right: Ints) -> bool:
        """Classes; whether any two of them were different."""
        new = left != right
        self._left.append(self._slot[left[new]])
        self._right.append(self._slot[right[new]])
        return bool(new.any())

    def _freeze(self, classes: Ints, why: Ints) -> bool:
        """Classes; whether any of them could go."""
        new = self.fault[classes] < 0
        self._stays = np.concatenate([self._stays, self._slot[classes[new]]])
        self._why = np.concatenate([self._why, why[new]])
        return bool(new.any())

    def simplify(self) -> bool:
        """One round; whether anything changed."""
        if not len(self.entries):
            return False
        entries = self.of[self.entries]
        parts = np.where(self.parts >= 0, self.of[self.parts], -1)
        changed = self._pass_on_faults(entries, parts)
        several = self._single(entries, parts)
        changed |= not several.all()
        changed |= self._equal(entries[several], parts[several])
        if changed:
            self._classify()
        return changed

    def _pass_on_faults(self, entries: Ints, parts: Ints) -> bool:
        """What stays needs all its parts."""
        rows, columns = np.nonzero((parts >= 0) & (self.fault[entries] >= 0)[:, None])
        return self._freeze(parts[rows, columns], self.fault[entries[rows]])

    def _single(self, entries: Ints, parts: Ints) -> NDArray[np.bool_]:
        """What has one part that may go is this part; what has none stays. Returns which rows are left."""
        live = _live(parts, self.fault)
        count = (live >= 0).sum(axis=1)
        none, one = count == 0, count == 1
        several: NDArray[np.bool_] = count > 1
        self._freeze(entries[none], np.where(parts[none] >= 0, self.fault[parts[none]], -1).max(axis=1))
        self._unite(entries[one], live[one, 0])
        self.entries, self.parts = self.entries[several], self.parts[several]
        return several

    def _equal(self, entries: Ints, parts: Ints) -> bool:
        """Two splits of one class have equal parts, in order; where their numbers differ, all goes as one."""
        if not len(entries):
            return False
        live = _live(parts, self.fault, distinct=False)
        order = np.argsort(entries, kind="stable")
        live, entries = live[order], entries[order]
        _, first, of_row = np.unique(entries, return_index=True, return_inverse=True)
        reference = live[first[of_row]]
        count = (live >= 0).sum(axis=1)
        alike = count == count[first[of_row]]
        both = (live >= 0) & (reference >= 0) & alike[:, None]
        changed = self._unite(live[both], reference[both])
        for row in np.flatnonzero(~alike):
            whole = np.concatenate([live[row], reference[row]])
            whole = whole[whole >= 0]
            changed |= self._unite(whole, np.full(len(whole), entries[row]))
        return changed

    def collapse(self, rows: NDArray[np.bool_]) -> None:
        """Entries of these rows go with all their parts."""
        entries, parts = self.entries[rows], self.parts[rows]
        at, column = np.nonzero(parts >= 0)
        self._left.append(entries[at])
        self._right.append(parts[at, column])
        self._classify()

    def expand(self) -> bool:
        """Parts of parts in their place; False where some went as one: there were too many, or they were circular."""
        table = np.arange(len(self.fault))[:, None]
        self._table = table
        if not len(self.entries):
            return True
        entries = self.of[self.entries]
        classes, first = np.unique(entries, return_index=True)
        rows = _live(np.where(self.parts >= 0, self.of[self.parts], -1), self.fault)[first]
        waiting = np.zeros(len(self.fault), dtype=bool)
        waiting[classes] = True
        while len(classes):
            ready = ~(waiting[rows] & (rows >= 0)).any(axis=1)
            if not ready.any():
                self.collapse(np.isin(entries, classes))
                return False
            found = _merged(table, rows[ready])
            if found.shape[1] > MOST_PARTS:
                self.collapse(np.isin(entries, classes[ready]))
                return False
            width = max(table.shape[1], found.shape[1])
            table = _padded(table, width)
            table[classes[ready]] = _padded(found, width)
            waiting[classes[ready]] = False
            classes, rows = classes[~ready], rows[~ready]
        self._table = table
        return True

    def solved(self) -> Solved:
        """The result."""
        return Solved(self.of, self.fault, self._table)


def _padded(rows: Ints, width: int) -> Ints:
    """Rows with -1 behind them."""
    return np.pad(rows, ((0, 0), (0, width - rows.shape[1])), constant_values=-1)


def _live(parts: Ints, fault: Ints, *, distinct: bool = True) -> Ints:
    """Rows of classes without those that stay, in order, with -1 behind them; ``distinct``: each of them once."""
    found = np.where((parts >= 0) & (fault[parts] < 0), parts, -1)
    if distinct:
        for column in range(1, found.shape[1]):
            found[(found[:, :column] == found[:, column : column + 1]).any(axis=1), column] = -1
    order = np.argsort(found < 0, axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1)


def _merged(table: Ints, rows: Ints) -> Ints:
    """The parts of all parts of each row, each once."""
    found = np.where((rows >= 0)[:, :, None], table[rows], -1).reshape(len(rows), -1)
    found = _live(found, np.full(len(table), -1))
    return found[:, : max(1, int((found >= 0).sum(axis=1).max()))]
