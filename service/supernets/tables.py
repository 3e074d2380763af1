"""The space of a table of measured archs: which columns it has, and the manifest made from them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from predictors.tables.costs import as_config, fit_costs
from predictors.tables.read import read_table
from service.http.files import FileBody
from service.http.schemas import Body
from supernets.errors import ArchError
from supernets.families.table import COSTS
from supernets.manifest import Manifest
from supernets.records import DataRecord, TrainingRecord
from supernets.spaces.columns import Cell, Layout, number
from supernets.spaces.space import Population, Space

ColumnName = Annotated[str, Field(min_length=1, max_length=200)]


class ArchColumn(Body):
    """A column that describes the arch."""

    column: ColumnName
    read: Literal["value", "digits", "words"] | None = Field(
        None,
        description="As one axis, one axis a digit, or one axis a word; found from the cells if absent",
    )


class CostColumn(Body):
    """A column with a closed-form count."""

    column: ColumnName
    unit: Literal["1", "K", "M", "G"] = Field("1", description="What the column counts in")


class TableSpace(Body):
    """A space that has no supernet here: the archs of a table, and every combination of their choices."""

    file: FileBody
    archs: list[ArchColumn] = Field(min_length=1, max_length=512, description="Columns that make an arch")
    depth_axis: ColumnName | None = Field(
        None, description="The arch column that holds how many positions of the split columns count"
    )
    params: CostColumn | None = None
    macs: CostColumn | None = None


def space_manifest(content: bytes, name: str, body: TableSpace) -> Manifest:
    """The manifest of a space that was read from a table; nothing of it is trained, so that most fields are empty.

    Raises:
        TableError, SpaceError: a column that is not there, or columns that make no space.
    """
    counts = {metric: column for metric in COSTS if (column := getattr(body, metric)) is not None}
    names = [each.column for each in body.archs]
    table = read_table(content, [*names, *(column.column for column in counts.values())])
    cells = {column: table[column] for column in names}
    readings = {each.column: each.read for each in body.archs}
    layout = Layout.infer(cells, readings, body.depth_axis, typed=table.typed)
    space = layout.space(cells)
    fitted = None
    if counts:
        population, rows = _encoded(space, layout, cells, table.rows)
        values = {
            metric: np.array([_count(table[column.column][row], column) for row in rows], dtype=np.float64)
            for metric, column in counts.items()
        }
        fitted = fit_costs(space, layout, population, values)
    costs = as_config(fitted) if fitted is not None else None
    return Manifest(
        name=name,
        family="table",
        config={"space": space.as_json(), "layout": layout.as_json(), "costs": costs},
        task="none",
        quality="none",
        weights_sha256=space.sha256,
        space_sha256=space.sha256,
        data=DataRecord(name="none"),
        preprocessing={},
        classes=[],
        recipe={},
        training=TrainingRecord(),
        report={
            "rows": table.rows,
            "layout": layout.as_json(),
            "cost_errors": fitted.errors if fitted else {},
        },
    )


def _encoded(
    space: Space, layout: Layout, cells: Mapping[str, Sequence[Cell]], rows: int
) -> tuple[Population, list[int]]:
    """The archs of the rows that have one, and which rows those are."""
    archs, kept = [], []
    for row in range(rows):
        try:
            archs.append(space.arch(layout.choices({name: cells[name][row] for name in layout.names})))
        except ArchError:
            continue
        kept.append(row)
    return space.encode(archs), kept


def _count(cell: Cell, column: CostColumn) -> float:
    value = number(cell)
    return math.nan if value is None else value * FACTORS[column.unit]


FACTORS = {"1": 1.0, "K": 1e3, "M": 1e6, "G": 1e9}
