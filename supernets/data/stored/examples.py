"""The images of one split as their source stores them: encoded, in a fixed order, read when they are needed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from supernets.data.stored.order import NO_LABEL
from supernets.data_facts.report import Level


class Cell(NamedTuple):
    """An encoded image, or the file that holds it, and the name by which messages call it."""

    name: str
    content: bytes | Path


class Examples(ABC):
    """The encoded images of one split.

    Promises: the order never changes; :meth:`cells` gives the same bytes each time and keeps nothing.
    ``labels (n,) int64`` are class indices, ``NO_LABEL`` where a row has none.
    """

    labels: NDArray[np.int64]

    @abstractmethod
    def cells(self, rows: NDArray[np.int64]) -> Iterator[Cell]:
        """The images of ``rows``, ascending row numbers, in that order."""

    @cached_property
    def labelled(self) -> NDArray[np.int64]:
        """The rows that have a label, ascending."""
        return np.flatnonzero(self.labels != NO_LABEL)

    def spread(self, n: int) -> NDArray[np.int64]:
        """At most about ``n`` labelled rows, ascending, spread evenly."""
        rows = self.labelled
        return rows[:: max(1, -(-len(rows) // n))]


class Labelled(Examples):
    """Labels of images that are decoded already."""

    def __init__(self, labels: NDArray[np.int64]) -> None:
        self.labels = labels

    def cells(self, rows: NDArray[np.int64]) -> Iterator[Cell]:  # noqa: ARG002
        """None."""
        return iter(())


class Files(Examples):
    """Images in files of their own."""

    def __init__(self, paths: Sequence[Path], labels: NDArray[np.int64]) -> None:
        self.paths, self.labels = paths, labels

    def cells(self, rows: NDArray[np.int64]) -> Iterator[Cell]:
        """The files of ``rows``, unread; many classes may have a ``1.png``, so the folder is part of the name."""
        for row in rows.tolist():
            path = self.paths[row]
            yield Cell(f"{path.parent.name}/{path.name}", path)


@dataclass(frozen=True, eq=False)
class Found:
    """All that a source holds, before any image is decoded.

    Attributes:
        classes: their names, in order of their index.
        splits: what the source has of train, validation and test.
        skipped: reason to number of files that were left out.
        problems: level ("error" or "warning"), code and message of what is or may be wrong with names.
    """

    classes: tuple[str, ...]
    splits: Mapping[str, Examples]
    skipped: Counter[str] = field(default_factory=Counter)
    problems: Sequence[tuple[Level, str, str]] = ()
