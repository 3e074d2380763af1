"""Pages of the tree over best points: what one cell holds, as arrays that are read and written in one piece."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from supernets.metrics import LATENCY, METRICS

FULL = 64
"""The most entries of a page."""
SCORE = "score"
"""The column of the quality as it is minimised; the others are metrics."""
COLUMNS = (SCORE, *METRICS)
OBJECTIVES = [COLUMNS.index(SCORE), COLUMNS.index(LATENCY)]
Values = NDArray[np.float64]


class PointRow(TypedDict):
    """What the tree needs of a best point: its subnet, its quality as it is minimised, and all its values."""

    subnet_id: str
    quality: float
    figures: dict[str, float]


class BestRow(PointRow):
    """A row of ``best_points`` without its cell."""

    project_id: str
    supernet_id: str
    scope: str
    point_id: str
    latency: float
    on_front: bool


@dataclass(frozen=True)
class Page:
    """Entries: points with ``low == high``, or cells with the ends of what they hold.

    ``ids`` are subnets or the numbers of cells; ``low`` and ``high`` are ``(n, columns)``, NaN where no value is known.
    """

    ids: list[str]
    low: Values
    high: Values

    @classmethod
    def empty(cls) -> Page:
        """A page without entries."""
        none = np.zeros((0, len(COLUMNS)))
        return cls([], none, none)

    @classmethod
    def of_points(cls, rows: Sequence[PointRow]) -> Page:
        """Best points."""
        values = np.full((len(rows), len(COLUMNS)), np.nan)
        for row, line in zip(rows, values, strict=True):
            line[0] = row["quality"]
            for column, name in enumerate(COLUMNS[1:], start=1):
                line[column] = row["figures"].get(name, np.nan)
        return cls([row["subnet_id"] for row in rows], values, values)

    @classmethod
    def joined(cls, pages: Iterable[Page]) -> Page:
        """All entries of several pages."""
        every = list(pages)
        return cls(
            [id for page in every for id in page.ids],
            np.concatenate([page.low for page in every]),
            np.concatenate([page.high for page in every]),
        )

    @classmethod
    def decode(cls, stored: Iterable[bytes]) -> Page:
        """All entries of pages that :meth:`encode` wrote; metrics that a page does not name have no values.

        Pages with the same metrics are decoded in one piece.
        """
        alike: dict[bytes, list[list[bytes]]] = defaultdict(list)
        for page in stored:
            form, *parts = page.split(b"\n", 2)
            alike[form].append(parts)
        found = [cls.empty()]
        for form, pages in alike.items():
            ends, *columns = form.decode().split()
            ids = b" ".join(page[0] for page in pages).decode().split()
            numbers = np.frombuffer(b"".join(page[1] for page in pages), dtype="<f8")
            values = np.full((len(ids), int(ends), len(COLUMNS)), np.nan)
            known = [row for row, name in enumerate(columns) if name in COLUMNS]
            places = [COLUMNS.index(columns[row]) for row in known]
            values[:, :, places] = numbers.reshape(*values.shape[:2], len(columns))[:, :, known]
            found.append(cls(ids, values[:, 0], values[:, -1]))
        return cls.joined(found)

    def encode(self) -> bytes:
        """The page as bytes: a line of the number of ends and the metrics, a line of ids, and little-endian doubles.

        A search reads many pages: metrics without a value are left out, and points have one end.
        """
        known = np.flatnonzero(np.isfinite(self.low).any(axis=0))
        ends = [self.low] if np.array_equal(self.low, self.high, equal_nan=True) else [self.low, self.high]
        form = " ".join([str(len(ends)), *(COLUMNS[column] for column in known)])
        numbers = np.stack(ends, axis=1)[:, :, known].astype("<f8")
        return f"{form}\n{' '.join(self.ids)}\n".encode() + numbers.tobytes()

    def only(self, rows: Sequence[int] | NDArray[np.int64]) -> Page:
        """These entries, by index."""
        return Page([self.ids[row] for row in np.asarray(rows).tolist()], self.low[rows], self.high[rows])

    def without(self, ids: Iterable[str]) -> Page:
        """The entries that are not of these."""
        gone = set(ids)
        return self.only(np.array([row for row, id in enumerate(self.ids) if id not in gone], dtype=np.int64))

    def as_entry(self, cell: int) -> Page:
        """A cell that holds this page, as one entry of the page above."""
        low, high = np.fmin.reduce(self.low, axis=0), np.fmax.reduce(self.high, axis=0)
        return Page([str(cell)], low[None], high[None])

    def nearest(self, points: Page) -> NDArray[np.int64]:
        """The entry ``(n,)`` that must be widened least, by quality and latency, to hold each point."""
        low, high = self.low[:, OBJECTIVES], self.high[:, OBJECTIVES]
        corners = points.low[:, OBJECTIVES]
        span = np.maximum(high.max(axis=0), corners.max(axis=0)) - np.minimum(
            low.min(axis=0), corners.min(axis=0)
        )
        below, above = low - corners[:, None], corners[:, None] - high
        outside = np.maximum(below, 0.0) + np.maximum(above, 0.0)
        return np.asarray((outside / np.where(span > 0, span, 1.0)).sum(axis=2).argmin(axis=1))

    def halves(self) -> list[Page]:
        """The entries in pages of at most ``FULL``: halved again and again, along the wider of the two axes."""
        corners = self.low[:, OBJECTIVES]
        span = np.ptp(corners, axis=0) if len(corners) else np.ones(2)
        done, left = [], [np.arange(len(corners))]
        while left:
            rows = left.pop()
            if len(rows) <= FULL:
                done.append(self.only(rows))
                continue
            axis = int((np.ptp(corners[rows], axis=0) / np.where(span > 0, span, 1.0)).argmax())
            rows = rows[np.argsort(corners[rows, axis], kind="stable")]
            left += [rows[: len(rows) // 2], rows[len(rows) // 2 :]]
        return done
