"""Images in groups of rows that are read one at a time, with all labels read beforehand."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from supernets.data.stored.examples import Cell, Examples
from supernets.errors import DataError

MAX_GROUP_BYTES = 1 << 30
"""The largest group of rows that is read as a whole, in bytes of encoded images."""


class Shards(Examples):
    """Rows of encoded images in groups; group ``g`` holds ``rows[g]`` rows.

    Promises, in addition to those of :class:`Examples`: the order of groups and rows never changes; ``labels`` and
    ``sha256`` cost no image.
    """

    rows: tuple[int, ...]
    sha256: str

    @abstractmethod
    def read(self, group: int, rows: NDArray[np.int64]) -> Iterator[Cell]:
        """The images of ``rows`` of a group, ascending and counted from its beginning; no more is kept in memory."""

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Row number at which each group begins, and after them the number of all rows."""
        return np.concatenate([[0], np.cumsum(self.rows)]).astype(np.int64)

    def cells(self, rows: NDArray[np.int64]) -> Iterator[Cell]:
        """The images of ``rows``, every group read once."""
        groups = np.searchsorted(self.starts, rows, side="right") - 1
        for group in np.unique(groups).tolist():
            yield from self.read(group, rows[groups == group] - self.starts[group])

    def whole(self, group: int, rows: NDArray[np.int64]) -> list[Cell]:
        """The images of ``rows`` of a group, in memory; refused beyond ``MAX_GROUP_BYTES``."""
        found, size = [], 0
        for cell in self.read(group, rows):
            assert isinstance(cell.content, bytes)
            size += len(cell.content)
            if size > MAX_GROUP_BYTES:
                raise DataError(
                    f"a row group may hold {MAX_GROUP_BYTES:,} bytes of images, but that of {cell.name} holds more; "
                    f"write the file with smaller ones (row_group_size=1000)",
                    "group_too_large",
                )
            found.append(cell)
        return found

    def spread(self, n: int) -> NDArray[np.int64]:
        """The first labelled rows of groups that are spread evenly: few groups are read, and little of each."""
        counts = np.searchsorted(self.labelled, self.starts)
        occupied = np.flatnonzero(np.diff(counts))
        chosen = occupied[:: max(1, -(-len(occupied) // max(1, n // 8)))]
        each = max(1, n // max(1, len(chosen)))
        parts = [self.labelled[counts[g] : min(counts[g] + each, counts[g + 1])] for g in chosen.tolist()]
        return np.concatenate([np.zeros(0, np.int64), *parts])
