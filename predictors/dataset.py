"""Measurement rows with provenance, and what makes a row impossible."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from predictors.errors import RowError
from predictors.measuring.protocol import ReferenceUse, Timing
from predictors.scope import Scope
from supernets.errors import ArchError
from supernets.json_types import JsonValue
from supernets.spaces.space import Arch, Population, Space

# No plausible measurement: a batch that takes a quarter of an hour, more than a petabyte, …
LARGEST: dict[str, float] = {"fraction": 1.0, "ms": 1e6, "mJ": 1e9, "MB": 1e9, "count": 1e15}
# A value this far from the median of the others is in another unit (ms and s differ by 1000).
UNIT_JUMP = 500.0
FEWEST_FOR_JUMP = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A metric of an arch on a target or split.

    ``spread`` is the standard error of ``value`` in the metric's unit (None when unknown), ``n`` how
    many rounds or images it rests on, ``provenance`` anything else that is stored with it.
    """

    arch: Arch
    scope: Scope
    value: float
    spread: float | None = None
    n: int = 1
    statistic: str = "mean"
    precision: str = "fp32"
    split: str | None = None
    protocol_version: int | None = None
    verdict: str = "good"
    provenance: Mapping[str, JsonValue | ReferenceUse] = field(default_factory=dict)

    @classmethod
    def from_timing(cls, arch: Arch, scope: Scope, timing: Timing, precision: str = "fp32") -> Row:
        """The row of a usable timing; raises :class:`RowError` for one without a latency."""
        if timing.latency_ms is None:
            raise RowError(0, "verdict", timing.verdict, f"one with a latency ({timing.error})")
        return cls(
            arch=arch,
            scope=scope,
            value=timing.latency_ms,
            spread=timing.standard_error_ms,
            n=timing.rounds,
            statistic=timing.statistic,
            precision=precision,
            protocol_version=timing.protocol_version,
            verdict=timing.verdict,
            provenance={
                "raw_ms": timing.raw_ms,
                "raw_n": timing.raw_n,
                "reference": timing.reference,
                "file": timing.sha256,
            },
        )

    def as_json(self) -> dict[str, object]:
        """Everything, JSON; ``scope`` and ``arch`` as objects."""
        return {
            "arch": self.arch.as_dict(),
            "scope": self.scope.as_json(),
            "unit": self.scope.definition.unit,
            **{
                name: getattr(self, name)
                for name in ("value", "spread", "n", "statistic", "precision", "split")
            },
            **{name: getattr(self, name) for name in ("protocol_version", "verdict")},
            "provenance": dict(self.provenance),
        }


class Dataset:
    """Checked rows of one space, as arrays.

    Raises:
        RowError: a row that cannot be true (see :func:`problems`).
    """

    def __init__(self, rows: Sequence[Row], space: Space) -> None:
        found = problems(rows, space)
        if found:
            raise found[0]
        self.rows = tuple(rows)
        self.space = space

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    @property
    def population(self) -> Population:
        """Archs ``(n, d)`` in the encoding of the space."""
        return self.space.encode(row.arch for row in self.rows)

    @property
    def values(self) -> NDArray[np.float64]:
        """Values ``(n,)`` in the metric's unit."""
        return np.array([row.value for row in self.rows], dtype=np.float64)

    def select(self, scope: Scope) -> Dataset:
        """The rows of one scope."""
        return Dataset([row for row in self.rows if row.scope == scope], self.space)


def problems(rows: Sequence[Row], space: Space) -> list[RowError]:
    """What is wrong with ``rows``: one error a bad row, none when all can be true."""
    found = [error for index, row in enumerate(rows) if (error := _problem(index, row, space)) is not None]
    bad = {error.row for error in found}
    groups: dict[Scope, list[int]] = {}
    for index, row in enumerate(rows):
        if index not in bad:
            groups.setdefault(row.scope, []).append(index)
    for scope, indices in groups.items():
        if scope.definition.unit != "fraction":
            found += _unit_jumps(rows, indices, scope.definition.unit)
    return sorted(found, key=lambda error: error.row)


def _problem(index: int, row: Row, space: Space) -> RowError | None:
    unit = row.scope.definition.unit
    largest = LARGEST.get(unit, math.inf)
    allowed = f"a number above 0 and at most {largest:g} {unit}"
    lowest_ok = row.value >= 0 if unit == "fraction" else row.value > 0
    if not (math.isfinite(row.value) and lowest_ok and row.value <= largest):
        return RowError(
            index,
            "value",
            row.value,
            allowed.replace("above 0 and", "from 0 and") if unit == "fraction" else allowed,
        )
    if row.spread is not None and not (math.isfinite(row.spread) and row.spread >= 0):
        return RowError(index, "spread", row.spread, "a number from 0, or absent")
    if row.n < 1:
        return RowError(index, "n", row.n, "at least 1")
    if row.scope.space_sha256 != space.sha256:
        return RowError(
            index, "space_sha256", row.scope.space_sha256, f"{space.sha256!r}, the space of this supernet"
        )
    try:
        if not space.contains(row.arch):
            space.arch(row.arch.as_dict())
            return RowError(index, "arch", row.arch.as_dict(), "canonical, without inactive axes")
    except ArchError as error:
        return RowError(index, "arch", row.arch.as_dict(), f"in the space ({error})")
    return None


def _unit_jumps(rows: Sequence[Row], indices: Sequence[int], unit: str) -> list[RowError]:
    """Rows that differ from the median of their scope as another unit would make them differ."""
    if len(indices) < FEWEST_FOR_JUMP:
        return []
    middle = float(np.median([rows[index].value for index in indices]))
    return [
        RowError(
            index,
            "value",
            rows[index].value,
            f"within {UNIT_JUMP:g}x of the median {middle:g} {unit} of its scope (a 1000x jump is another unit)",
        )
        for index in indices
        if not 1 / UNIT_JUMP < rows[index].value / middle < UNIT_JUMP
    ]
