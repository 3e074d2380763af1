"""Closed-form costs: of one arch from its LayerSpecs, of whole populations by table."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from supernets.errors import SpaceError
from supernets.metrics import ACTIVATION, MACS, PARAMS, SIZE
from supernets.spaces.layers import BYTES_PER_ELEMENT, LayerSpec, Segment
from supernets.spaces.space import Population, Space

MEGA = 1e6
Cost = Callable[[Population], NDArray[np.float64]]
"""A metric ``(n,)`` of a population, lower for smaller networks: in closed form, or predicted."""
MAX_TABLE = 100_000
"""The most combinations of choices that the tables of all segments of a family have together."""


def costs(layers: Iterable[LayerSpec]) -> dict[str, float]:
    """``params``, ``macs`` (counts), ``activation_mb``, ``size_mb`` (MB = 10^6 bytes, fp32, batch 1).

    ``activation_mb`` is the peak over layers of what is alive while one runs; ``size_mb`` the bytes of
    all weights, norm parameters and norm statistics.
    """
    rows = tuple(layers)
    norm_statistics = sum(2 * row.out_channels for row in rows if row.norm and not row.shared)
    params = sum(row.params for row in rows)
    return {
        PARAMS: float(params),
        MACS: float(sum(row.macs for row in rows)),
        ACTIVATION: max(row.live_elements for row in rows) * BYTES_PER_ELEMENT / MEGA,
        SIZE: (params + norm_statistics) * BYTES_PER_ELEMENT / MEGA,
    }


class SegmentTable:
    """Rows of ``value(layers)`` for every combination of every segment's axes.

    A population is costed by one table lookup a segment: about as fast as adding the columns up.
    ``combine`` is how segments join: ``sum`` for counts and latency, ``max`` for peaks.
    """

    def __init__(
        self,
        space: Space,
        segments: Sequence[Segment],
        value: Callable[[tuple[LayerSpec, ...]], Sequence[float] | NDArray[np.float64]],
        combine: Literal["sum", "max"] = "sum",
    ) -> None:
        self._combine = combine
        _check_total(space, segments)
        self._lookups = [self._lookup(space, segment, value) for segment in segments]
        self.width = self._lookups[0][2].shape[1]

    @staticmethod
    def _lookup(
        space: Space,
        segment: Segment,
        value: Callable[[tuple[LayerSpec, ...]], Sequence[float] | NDArray[np.float64]],
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        columns = np.array([space.column(axis) for axis in segment.axes], dtype=np.int64)
        # One more choice an axis than it has: 0 stands for "inactive".
        cardinalities = [int(space.cardinalities[column]) for column in columns]
        strides = np.array(
            [int(np.prod([c + 1 for c in cardinalities[k + 1 :]])) for k in range(len(columns))],
            dtype=np.int64,
        )
        rows: list[NDArray[np.float64]] = []
        width = len(value(()))
        for genes in itertools.product(*(range(-1, c) for c in cardinalities)):
            choices = {
                axis: space.axes[column].choices[gene]
                for axis, column, gene in zip(segment.axes, columns, genes, strict=True)
                if gene >= 0
            }
            try:
                rows.append(np.asarray(value(segment.layers(choices)), dtype=np.float64))
            except KeyError:  # a combination that cannot occur: an axis it needs is inactive
                rows.append(np.full(width, np.nan))
        return columns, strides, np.stack(rows)

    def __call__(self, space: Space, population: Population) -> NDArray[np.float64]:
        """Values ``(n, width)`` of a canonical population ``(n, d)``."""
        genes = np.where(space.active(population), population + 1, 0)
        total: NDArray[np.float64] | None = None
        for columns, strides, table in self._lookups:
            part = table[genes[:, columns] @ strides]
            if total is None:
                total = part.copy()
            elif self._combine == "sum":
                total += part
            else:
                np.maximum(total, part, out=total)
        assert total is not None
        return total


def combinations(space: Space, segments: Iterable[Segment]) -> int:
    """How many combinations of choices the tables of these segments have together."""
    return sum(
        math.prod(int(space.cardinalities[space.column(axis)]) + 1 for axis in segment.axes)
        for segment in segments
    )


def _check_total(space: Space, segments: Sequence[Segment]) -> None:
    """Refuse segments whose tables would take minutes to fill, before any is filled."""
    total = combinations(space, segments)
    if total > MAX_TABLE:
        raise SpaceError(
            f"the blocks of a family must have at most {MAX_TABLE} combinations of choices in all, got {total}; use "
            f"fewer choices of resolution, width, kernel and expansion"
        )


class CostCounter:
    """Closed-form metrics of whole populations."""

    def __init__(self, space: Space, segments: Sequence[Segment]) -> None:
        self._space = space
        self._sums = SegmentTable(space, segments, _additive)
        self._peak = SegmentTable(space, segments, _peak, combine="max")

    def __call__(self, population: Population) -> dict[str, NDArray[np.float64]]:
        """Metric name to values ``(n,)``; units as in :func:`costs`."""
        sums = self._sums(self._space, population)
        return {
            PARAMS: sums[:, 0],
            MACS: sums[:, 1],
            ACTIVATION: self._peak(self._space, population)[:, 0],
            SIZE: sums[:, 2],
        }


def _additive(layers: tuple[LayerSpec, ...]) -> list[float]:
    if not layers:
        return [0.0, 0.0, 0.0]
    values = costs(layers)
    return [values[PARAMS], values[MACS], values[SIZE]]


def _peak(layers: tuple[LayerSpec, ...]) -> list[float]:
    return [costs(layers)[ACTIVATION] if layers else 0.0]
