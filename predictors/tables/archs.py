"""Converts rows of an imported table to archs. Invalid rows do not affect the others."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence

from predictors.errors import TableError
from predictors.tables.read import Table
from supernets.errors import ArchError
from supernets.families.family import Family
from supernets.families.table import TableFamily
from supernets.spaces.columns import Cell, Layout, choice
from supernets.spaces.space import Arch, Choice, Space

ARCH_ID = re.compile(r"[0-9a-f]{16}")
Reader = Callable[[Mapping[str, Cell]], Arch]
ArchsById = Mapping[str, Mapping[str, Choice]]


def arch_columns(family: Family, names: Sequence[str], requested: Sequence[str]) -> list[str]:
    """The columns that define the arch of a row: those ``requested``, or every axis that the table has.

    For the space of a table, these are the columns it was defined with; others are errors.

    Raises:
        TableError: more than one column that is not an axis, or no column for an axis that every arch
            needs.
    """
    if isinstance(family, TableFamily):
        if requested and set(requested) != set(family.layout.names):
            raise TableError(f"arch columns of this space are {family.layout.names}, got {list(requested)}")
        return family.layout.names
    space = family.space()
    axes = [axis.name for axis in space.axes]
    columns = list(requested) or [axis for axis in axes if axis in names]
    unknown = [column for column in columns if column not in axes]
    if len(columns) == 1 and unknown:
        return columns
    if unknown:
        raise TableError(
            f"arch columns must be axes of the space, or a single column with ids or JSON, got {unknown}; "
            f"axes are {', '.join(axes)}"
        )
    absent = [axis.name for axis in space.axes if axis.parent is None and axis.name not in columns]
    if absent:
        raise TableError(
            f"every arch needs {', '.join(absent)}: name the columns after the axes, or give one column with "
            f"arch ids or JSON; the table has {', '.join(list(names)[:60])}"
        )
    return columns


def reader(family: Family, columns: Sequence[str], known: ArchsById) -> Reader:
    """A function that converts the cells of ``columns`` to an arch, or raises ``ArchError``.

    Columns are axes (an empty cell is inactive), or a single column holds the id of a ``known`` arch or the arch
    as JSON. Choices on inactive axes are dropped, so equal networks are equal archs.
    """
    space = family.space()
    if isinstance(family, TableFamily):
        return _by_layout(space, family.layout)
    if len(columns) == 1 and columns[0] not in {axis.name for axis in space.axes}:
        column = columns[0]
        return lambda cells: _from_text(space, cells[column], known)
    return lambda cells: space.arch(
        {column: value for column in columns if (value := choice(cells[column])) is not None}
    )


def _by_layout(space: Space, layout: Layout) -> Reader:
    """Reads archs of a table's space; a cell with too few digits is an error."""
    digits = {
        column.name: sum(axis.name.removeprefix(column.name).isdecimal() for axis in space.axes)
        for column in layout.columns
        if column.read == "digits" and layout.depth is None
    }

    def read(cells: Mapping[str, Cell]) -> Arch:
        for name, count in digits.items():
            cell = str(cells[name] or "")
            if cell.isdecimal() and len(cell) < count:
                raise ArchError(
                    f"{name!r} must have {count} digits, got {cell!r}: leading zeros may have been lost; write the "
                    f"column as text (pandas: dtype=str)"
                )
        return space.arch(layout.choices(cells))

    return read


def _from_text(space: Space, cell: Cell, known: ArchsById) -> Arch:
    if not isinstance(cell, str):
        raise ArchError("an arch must be an id or JSON, the cell is empty or a number")
    if ARCH_ID.fullmatch(cell):
        if cell not in known:
            raise ArchError("an arch id must be that of a stored subnet; send the arch as JSON")
        return space.arch(known[cell])
    try:
        value = json.loads(cell)
    except ValueError as error:
        raise ArchError(f"an arch must be 16 hex digits or JSON ({error})") from error
    if not isinstance(value, dict):
        raise ArchError('an arch as JSON must be an object such as {"depth": 2}')
    return space.arch(value)


def cells_of(table: Table, columns: Sequence[str], row: int) -> dict[str, Cell]:
    """The cells of a row."""
    return {column: table[column][row] for column in columns}
