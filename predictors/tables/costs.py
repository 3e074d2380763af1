"""Closed form of parameters and MACs of a table's archs, as a sum over the parts of an arch.

The count of an arch is the sum over positions of the cost of the choices there, which may depend on the plain axes
(the width of the network), plus a part of the plain axes alone. This is exact for chains of blocks and for cells. For
other archs the error on held-out rows shows how accurate it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictors.errors import TableError
from supernets.families.table import CostTable
from supernets.metrics import MACS, PARAMS
from supernets.spaces.columns import Layout
from supernets.spaces.space import Population, Space

MOST_COMBINATIONS = 512
MOST_ROWS, HELD_OUT = 4000, 0.2
FEWEST_ROWS = 10
# Weight of the separate cost of a position relative to the shared cost: few rows do not determine each alone.
OWN = 0.1
Values = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Fitted:
    """Closed form of the counts, and its relative error on held-out rows."""

    tables: tuple[CostTable, ...]
    errors: dict[str, dict[str, float]]


def fit_costs(space: Space, layout: Layout, population: Population, counts: Mapping[str, Values]) -> Fitted:
    """Fit ``counts`` (``params`` and/or ``macs``, ``(n,)``) of archs ``(n, d)``; NaN if missing.

    Raises:
        TableError: fewer than ``FEWEST_ROWS`` rows with a count.
    """
    parts = _parts(space, layout)
    blocks, alike = _blocks(space, population, parts), _alike(space, parts)
    found: dict[str, list[Values]] = {}
    errors: dict[str, dict[str, float]] = {}
    for metric, values in counts.items():
        known = np.flatnonzero(np.isfinite(values) & (values >= 0))
        if len(known) < FEWEST_ROWS:
            raise TableError(f"{metric} need at least {FEWEST_ROWS} rows with a number, got {len(known)}")
        known = np.random.default_rng(0).permutation(known)[:MOST_ROWS]
        held = max(1, round(HELD_OUT * len(known)))
        rest, left = known[held:], known[:held]
        tried = _solve([block[rest] for block in blocks], alike, values[rest])
        predicted = np.sum([block[left] @ piece for block, piece in zip(blocks, tried, strict=True)], axis=0)
        relative = np.abs(predicted / np.maximum(values[left], 1.0) - 1)
        errors[metric] = {
            "median": float(np.median(relative)),
            "worst": float(relative.max()),
            "n": float(held),
        }
        found[metric] = _solve([block[known] for block in blocks], alike, values[known])
    return Fitted(_tables(parts, found), errors)


def _parts(space: Space, layout: Layout) -> list[tuple[str, ...]]:
    """Axes of each part: the plain ones together, and those of each position with the plain ones."""
    plain = tuple(column.name for column in layout.columns if column.read == "value")
    shaping = tuple(axis for axis in plain if axis != layout.depth)
    names = {axis.name for axis in space.axes}
    parts: list[tuple[str, ...]] = []
    if plain:
        parts += [plain] if _combinations(space, plain) <= MOST_COMBINATIONS else [(axis,) for axis in plain]
    for index in range(len(space.axes)):
        here = tuple(axis for name in layout.split if (axis := f"{name}{index}") in names)
        if not here:
            break
        if _combinations(space, (*shaping, *here)) <= MOST_COMBINATIONS:
            parts.append((*shaping, *here))
        else:
            parts += [(axis,) for axis in here]
    return parts


def _combinations(space: Space, axes: Sequence[str]) -> int:
    return int(np.prod([len(space.axes[space.column(axis)].choices) for axis in axes]))


def _blocks(space: Space, population: Population, parts: Sequence[tuple[str, ...]]) -> list[Matrix]:
    """For each part one column per combination, ``(n, k)``: 1 if an arch has it."""
    active = space.active(population)
    blocks = []
    for axes in parts:
        columns = [space.column(axis) for axis in axes]
        code = np.zeros(len(population), dtype=np.int64)
        for column in columns:
            code = code * int(space.cardinalities[column]) + population[:, column]
        block = np.zeros((len(population), _combinations(space, axes)))
        block[np.arange(len(population)), code] = active[:, columns].all(axis=1)
        blocks.append(block)
    return blocks


def _alike(space: Space, parts: Sequence[tuple[str, ...]]) -> list[list[int]]:
    """Groups of equivalent parts at different positions: equal kinds of axes with equal choices."""
    groups: dict[object, list[int]] = {}
    for index, axes in enumerate(parts):
        found = [space.axes[space.column(axis)] for axis in axes]
        groups.setdefault(tuple((axis.kind, axis.choices) for axis in found), []).append(index)
    return list(groups.values())


def _solve(blocks: Sequence[Matrix], alike: Sequence[Sequence[int]], values: Values) -> list[Values]:
    """Cost of each combination of each part: minimum-norm least squares of relative errors.

    Equivalent parts have a shared cost and a smaller separate one.
    """
    size = np.maximum(values, 1.0)[:, None]
    unit = float(np.median(size))
    shared = [np.sum([blocks[index] for index in group], axis=0) for group in alike]
    rows = np.concatenate([*shared, *(OWN * block for block in blocks)], axis=1) * (unit / size)
    found, *_ = np.linalg.lstsq(rows, values / size[:, 0], rcond=1e-10)
    pieces = np.split(unit * found, np.cumsum([block.shape[1] for block in (*shared, *blocks)])[:-1])
    common = {index: pieces[number] for number, group in enumerate(alike) for index in group}
    return [common[index] + OWN * piece for index, piece in enumerate(pieces[len(shared) :])]


def _tables(parts: Sequence[tuple[str, ...]], found: Mapping[str, list[Values]]) -> tuple[CostTable, ...]:
    nothing = (0.0,)
    tables = []
    for index, axes in enumerate(parts):
        size = len(next(iter(found.values()))[index])
        params, macs = (
            tuple(found[metric][index].tolist()) if metric in found else nothing * size
            for metric in (PARAMS, MACS)
        )
        tables.append(CostTable(axes, params, macs))
    return tuple(tables)


def as_config(fitted: Fitted) -> dict[str, object]:
    """The ``costs`` of a :class:`~supernets.families.table.TableFamily`'s configuration."""
    known = [metric for metric in (PARAMS, MACS) if metric in fitted.errors]
    return {"known": known, "segments": [table.as_json() for table in fitted.tables]}
