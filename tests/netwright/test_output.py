"""Tables keep every cell at every width, on a terminal and in a pipe."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from netwright.output.printing import Table, show

HEADS = [f"head{i}" for i in range(9)]
ID = "sea_0123456789abcdef"


def printed(table: Table, width: int, *, terminal: bool) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)
    show({}, [table], as_json=False, console=console)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def wide(rows: int) -> Table:
    """Cells of one letter each, which occurs nowhere else."""
    cells = [["QWZYXVUJK"[i] * (7 + row + i) for i in range(len(HEADS))] for row in range(rows)]
    return Table([*HEADS, "id"], [[*row, ID] for row in cells])


@pytest.mark.parametrize("width", [1, 20, 40, 80, 120, 400])
def test_a_row_is_a_line_in_a_pipe(width: int) -> None:
    table = wide(3)
    lines = printed(table, width, terminal=False).splitlines()
    for row in table.rows:
        assert sum(all(str(cell) in line for cell in row) for line in lines) >= 1, (width, row)


@pytest.mark.parametrize("width", [28, 40, 60, 80, 100, 120, 160, 400])
def test_no_letter_is_lost_on_a_terminal(width: int) -> None:
    table = wide(2)
    text = printed(table, width, terminal=True)
    assert max(map(len, text.splitlines())) <= max(width, len(ID) + len("head0") + 2)
    for i in range(len(HEADS)):
        letter = str(table.rows[0][i])[0]
        assert text.count(letter) == sum(len(str(row[i])) for row in table.rows), (width, letter)
    assert text.count(ID) == 2
