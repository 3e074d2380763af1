"""A space that the columns of a table span: one axis a column, or one a position of its digits or words."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from supernets.errors import ArchError, SpaceError
from supernets.spaces.space import Axis, Choice, Space

Cell = str | int | float | bool | None
READINGS = ("value", "digits", "words")
SEPARATORS = re.compile(r"[-|,;/+\s]+")
MAX_CHOICES, MAX_AXES = 256, 512
# What nearly all rows do is the rule, and the rows that do otherwise are wrong.
MOST = 0.95
# A plain column with more values than this, all different, numbers the rows and is not an axis.
MOST_DIFFERENT = 16
LONG_NUMBER = 9


def number(cell: Cell) -> float | None:
    """The cell as a number (NaN and infinities too), None for anything else; booleans are not numbers."""
    if cell is None or isinstance(cell, bool) or (isinstance(cell, str) and "_" in cell):
        return None
    try:
        return float(cell)
    except ValueError:
        return None


def choice(cell: Cell) -> Choice | None:
    """The cell as a choice of an axis: whole numbers as int, other numbers as float, words as they are."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None
    if isinstance(cell, bool):
        return int(cell)
    value = number(cell)
    if value is None or not math.isfinite(value):
        return str(cell)
    return int(value) if value == int(value) else value


@dataclass(frozen=True, slots=True)
class Column:
    """A column and how it is read: as one ``value``, as one axis a digit, or as one axis a word between separators."""

    name: str
    read: str

    def parts(self, cell: Cell) -> list[Choice]:
        """The choices in a cell; raises ``ArchError`` for an empty one, or a number where digits are expected."""
        value = choice(cell)
        if value is None:
            raise ArchError(f"{self.name!r} must not be empty")
        if self.read == "value":
            return [value]
        if not isinstance(cell, str):
            raise ArchError(f"{self.name!r} must be text to be read as {self.read}, got {cell!r}")
        parts = list(cell) if self.read == "digits" else [part for part in SEPARATORS.split(cell) if part]
        return [made for part in parts if (made := choice(part)) is not None]


@dataclass(frozen=True)
class Layout:
    """How the columns of a table name an arch.

    ``depth`` is a column with the number of positions of the split columns count; those behind are inactive, so
    that equal networks are equal archs.
    """

    columns: tuple[Column, ...]
    depth: str | None = None

    @property
    def names(self) -> list[str]:
        """The columns."""
        return [column.name for column in self.columns]

    @property
    def split(self) -> list[str]:
        """The columns with an axis a position."""
        return [column.name for column in self.columns if column.read != "value"]

    def choices(self, cells: Mapping[str, Cell]) -> dict[str, Choice]:
        """Axis to choice of a row; raises ``ArchError`` for one that does not follow the layout."""
        made: dict[str, Choice] = {}
        depth = choice(cells[self.depth]) if self.depth is not None else None
        if self.depth is not None and not isinstance(depth, int):
            raise ArchError(f"{self.depth!r} must be a whole number, got {cells[self.depth]!r}")
        for column in self.columns:
            parts = column.parts(cells[column.name])
            if column.read == "value":
                made[column.name] = parts[0]
                continue
            if isinstance(depth, int):
                if len(parts) < depth:
                    raise ArchError(
                        f"{column.name!r} must have the {depth} entries stated by {self.depth!r}, got {len(parts)}"
                    )
                parts = parts[:depth]
            made |= {f"{column.name}{index}": part for index, part in enumerate(parts)}
        return made

    def as_json(self) -> dict[str, object]:
        """What :meth:`from_json` reads back."""
        return {"columns": [[column.name, column.read] for column in self.columns], "depth": self.depth}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Layout:
        """The layout that :meth:`as_json` wrote."""
        return cls(tuple(Column(name, read) for name, read in value["columns"]), value["depth"])

    @classmethod
    def infer(
        cls,
        cells: Mapping[str, Sequence[Cell]],
        readings: Mapping[str, str | None],
        depth: str | None,
        *,
        typed: bool,
    ) -> Layout:
        """The layout of these columns; a reading that is None is found from the cells.

        Text of digits only has an axis a digit (in a file without types, only where there are leading zeros or
        more digits than a number has), text with separators an axis a word. Where lengths differ and a plain
        column equals them, that is the depth.
        """
        columns = tuple(
            Column(name, reading or _reading(cells[name], typed=typed)) for name, reading in readings.items()
        )
        for column in columns:
            _require_axis(column, cells[column.name])
        layout = cls(columns, depth)
        plain = [column.name for column in columns if column.read == "value"]
        if depth is not None and depth not in plain:
            raise SpaceError(f"the depth axis must be one of the plain arch columns {plain}, got {depth!r}")
        if depth is not None or not layout.split:
            return layout
        return cls(columns, _depth(columns, cells, plain))

    def space(self, cells: Mapping[str, Sequence[Cell]]) -> Space:
        """The space of every choice that the rows show; rows that do not follow the layout show none.

        Raises:
            SpaceError: no row follows the layout, or a column has more choices than an axis may have.
        """
        seen: dict[str, Counter[Choice]] = {}
        fault = ""
        for row in range(len(next(iter(cells.values())))):
            try:
                made = self.choices({name: cells[name][row] for name in self.names})
            except ArchError as error:
                fault = fault or f": {error}"
                continue
            for axis, value in made.items():
                seen.setdefault(axis, Counter())[value] += 1
        if not seen:
            raise SpaceError(f"at least one row must give an arch in {self.names}, none does{fault}")
        axes = [
            axis
            for column in self.columns
            if column.read == "value"
            for axis in self._plain(column.name, seen)
        ]
        for name in self.split:
            axes += self._positions(name, seen)
        if len(axes) > MAX_AXES:
            raise SpaceError(f"a space may have at most {MAX_AXES} axes, the columns give {len(axes)}")
        return Space(axes)

    @staticmethod
    def _plain(name: str, seen: Mapping[str, Counter[Choice]]) -> list[Axis]:
        return [Axis(name, name, _sorted(name, seen[name]))]

    def _positions(self, name: str, seen: Mapping[str, Counter[Choice]]) -> list[Axis]:
        """Axes of a split column; without a depth only the positions that nearly all rows have."""
        most = max(sum(count.values()) for count in seen.values())
        axes: list[Axis] = []
        while (axis := f"{name}{len(axes)}") in seen:
            index, count = len(axes), seen[axis]
            choices = _sorted(axis, count)
            if self.depth is None:
                if sum(count.values()) < MOST * most:
                    break
                axes.append(Axis(axis, name, choices))
                continue
            depths = _sorted(self.depth, seen[self.depth])
            longer = tuple(depth for depth in depths if isinstance(depth, int) and depth > index)
            always = len(longer) == len(depths)
            axes.append(Axis(axis, name, choices, None if always else self.depth, () if always else longer))
        return axes


def _reading(cells: Sequence[Cell], *, typed: bool) -> str:
    """How a column is read by default."""
    texts = [cell for cell in cells if isinstance(cell, str)]
    if not texts or len(texts) < MOST * sum(cell is not None for cell in cells):
        return "value"
    if sum(text.isdecimal() and len(text) > 1 for text in texts) >= MOST * len(texts):
        coded = any(text.startswith("0") or len(text) > LONG_NUMBER for text in texts)
        return "digits" if typed or coded else "value"
    split = sum(number(text) is None and len(SEPARATORS.split(text.strip("-|,;/+ "))) > 1 for text in texts)
    return "words" if split >= MOST * len(texts) else "value"


def _require_axis(column: Column, cells: Sequence[Cell]) -> None:
    """Refuse a plain column that has another value in every row."""
    values = [value for cell in cells if (value := choice(cell)) is not None]
    if column.read == "value" and len(values) > MOST_DIFFERENT and len(set(values)) == len(values):
        raise SpaceError(
            f"an axis must have choices that occur more than once, every row of {column.name!r} is different"
            f"{_zeros_hint(cells) or ': leave the column out, or read it as digits or words'}"
        )


def _zeros_hint(cells: Sequence[Cell]) -> str | None:
    """The message on whole numbers of different lengths of which none starts with 0."""
    texts = [str(cell) for cell in cells if isinstance(cell, str | int) and not isinstance(cell, bool)]
    lengths = {len(text) for text in texts}
    if len(lengths) < 2 or not all(text.isdecimal() and (text == "0" or text[0] != "0") for text in texts):
        return None
    return (
        f": the cells have {min(lengths)} to {max(lengths)} digits and none starts with 0, so leading zeros may have "
        f"been lost; write the column as text with {max(lengths)} digits (pandas: dtype=str)"
    )


def _depth(
    columns: Sequence[Column], cells: Mapping[str, Sequence[Cell]], plain: Sequence[str]
) -> str | None:
    """The plain column that equals the number of entries, where that differs from row to row."""
    for column in columns:
        if column.read == "value":
            continue
        lengths = [_length(column, cell) for cell in cells[column.name]]
        usual, times = Counter(lengths).most_common(1)[0]
        if times >= MOST * len(lengths):
            continue
        for name in plain:
            equal = sum(choice(cell) == length for cell, length in zip(cells[name], lengths, strict=True))
            if equal >= MOST * len(lengths):
                return name
        hint = _zeros_hint(cells[column.name]) or ""
        raise SpaceError(
            f"{column.name!r} must have as many entries in every row, or an arch column with their number (the depth "
            f"axis), got {min(lengths)} to {max(lengths)} entries, mostly {usual}{hint}"
        )
    return None


def _length(column: Column, cell: Cell) -> int:
    try:
        return len(column.parts(cell))
    except ArchError:
        return 0


def _sorted(axis: str, seen: Counter[Choice]) -> tuple[Choice, ...]:
    """The choices from the smallest; words among numbers are mistakes where nearly all are numbers."""
    numbers = [value for value in seen if not isinstance(value, str)]
    if sum(seen[value] for value in numbers) >= MOST * sum(seen.values()):
        choices: list[Choice] = sorted(numbers)
    else:
        choices = sorted(seen, key=lambda value: (isinstance(value, str), value))
    if len(choices) > MAX_CHOICES:
        raise SpaceError(
            f"an axis may have at most {MAX_CHOICES} choices, {axis!r} has {len(choices)}: is it an arch column?"
        )
    return tuple(choices)
