"""Output of the commands: sections for people, JSON for scripts, errors on stderr with an exit status."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table as RichTable

from netwright.client import Client
from netwright.client.http.models import Object
from netwright.client.resource import Resource
from netwright.errors import (
    ApiError,
    JobFailedError,
    NetwrightError,
    NoSuchPointError,
    UnreachableError,
    WaitTimeoutError,
)
from netwright.output.hints import as_command, in_commands

EXIT_REFUSED, EXIT_USAGE, EXIT_INFEASIBLE, EXIT_JOB_FAILED, EXIT_NO_ANSWER = 1, 2, 3, 4, 5
LOG_LINES = 10
UNFORESEEN = ("internal", "child_died")
PIPE_WIDTH, LONGEST_LINE = 160, 100_000
WHOLE = ("id", "subnet", "search")
"""Columns that are copied into other commands: never folded."""
FOLDED, GAP = 6, 3
"""Characters of a column that may be folded, and between columns."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts instead of tables for people.")]
Timeout = Annotated[
    float, typer.Option(min=1, help="Stop waiting after this many seconds; the job continues.")
]


@dataclass(frozen=True, slots=True)
class Where:
    """The server that the commands talk to."""

    url: str | None
    key: str | None

    def client(self, *, may_start: bool = False) -> Client:
        """A client of it; with ``may_start`` it has some seconds to start."""
        return Client(self.url, self.key, may_start=may_start)


def client_of(context: typer.Context) -> Client:
    """The client for the options before the command; closed when the command ends."""
    where = context.find_object(Where) or Where(None, None)
    # Commands are pasted together with `netwright serve &`, which takes seconds to start.
    client = where.client(may_start=True)
    context.call_on_close(client.close)
    return client


# --- sections --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fields:
    """One thing, a line a field; fields that are None are left out."""

    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Table:
    """A line a row; on a terminal long cells are folded, never cut."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence, on stderr where it is a ``warning``."""

    text: str
    warning: bool = field(default=False, kw_only=True)


Section = Fields | Table | Line
Format = Callable[[Any], object]
Columns = Mapping[str, str | tuple[str, Format]]


def table_of(rows: Iterable[Object], columns: Columns, title: str | None = None) -> Table:
    """A table of JSON objects: for each field its heading, and how its value is written."""
    heads = [column if isinstance(column, str) else column[0] for column in columns.values()]
    formats = {name: column[1] for name, column in columns.items() if not isinstance(column, str)}
    cells = [[formats.get(name, _same)(row.get(name)) for name in columns] for row in rows]
    return Table(heads, cells, title)


def _same(value: object) -> object:
    return value


def show(answer: object, sections: Iterable[Section], as_json: bool, console: Console | None = None) -> None:
    """One JSON document on stdout, or sections for people."""
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
        return
    for section in sections:
        _print(section, console or stdout())


def show_all(items: Sequence[Resource], sections: Iterable[Section], as_json: bool) -> None:
    """The JSON of all resources of a list, or sections for people."""
    show([item.to_dict() for item in items] if as_json else [], sections, as_json)


def stdout(*, record: bool = False) -> Console:
    """Standard output: as wide as the terminal, or wide enough for a line a row where there is none."""
    piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(width=PIPE_WIDTH if piped else None, record=record)


def _print(section: Section, console: Console) -> None:
    if isinstance(section, Line):
        if section.warning:
            typer.echo(f"warning: {section.text}", err=True)
        else:
            console.print(escape(section.text), soft_wrap=True, highlight=False)
        return
    if isinstance(section, Fields):
        _print_fields(section, console)
    else:
        _print_table(section, console)


def _print_fields(section: Fields, console: Console) -> None:
    table = RichTable(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in section.values.items():
        if value is not None:
            table.add_row(name, escape(cell(value)))
    console.print(table)


def _print_table(section: Table, console: Console) -> None:
    if section.title:
        console.print(escape(section.title), soft_wrap=True, highlight=False)
    if not section.rows:
        console.print("none")
        return
    cells = [[cell(value) for value in row] for row in section.rows]
    if console.is_terminal and _narrowest(section.columns, cells) > console.width:
        _print_below_each_other(section.columns, cells, console)
        return
    table = RichTable(header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for column in section.columns:
        table.add_column(column, overflow="fold", no_wrap=column in WHOLE)
    for row in cells:
        table.add_row(*map(escape, row))
    if not console.is_terminal:  # a file cannot be widened: a row is a line, however long
        whole = Measurement.get(console, console.options.update_width(LONGEST_LINE), table).maximum
        console.width = max(console.width, whole)
    console.print(table)


def _narrowest(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """The width below which rich would leave out columns, or fold them to a letter a line."""
    longest = [max(map(len, (head, *(row[i] for row in rows)))) for i, head in enumerate(columns)]
    kept = [
        width if head in WHOLE else min(width, FOLDED) for head, width in zip(columns, longest, strict=True)
    ]
    return sum(kept) + GAP * len(columns)


def _print_below_each_other(columns: Sequence[str], rows: Sequence[Sequence[str]], console: Console) -> None:
    """Each row as a block of lines, for a terminal that is too narrow for the table."""
    for number, row in enumerate(rows):
        if number:
            console.print()
        _print(Fields(dict(zip(columns, row, strict=True))), console)


# --- values ----------------------------------------------------------------------------------------


def cell(value: object) -> str:
    """A value for people: four significant digits, `-` for nothing."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, str | int):
        return str(value)
    return json.dumps(value, default=dict)


def number(value: float) -> str:
    """Four significant digits, thousands grouped: ``0.06421``, ``17,840``."""
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def moment(at: datetime) -> str:
    """A time to the second: ``2026-11-23 21:14:47``."""
    return f"{at:%Y-%m-%d %H:%M:%S}"


def percent(value: float | None) -> str | None:
    """``0.0213`` as ``2.1 %``, ``0.0004`` as ``0.04 %``."""
    if value is None:
        return None
    return f"{100 * value:.1f} %" if abs(value) >= 0.01 else f"{100 * value:.2f} %"


def with_error(value: float, error: float | None) -> str:
    """Value and standard error, to two significant digits of the error: ``0.02080 ± 0.00012``."""
    if not error or not math.isfinite(error):
        return number(value)
    decimals = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"


def words(arch: Mapping[str, object]) -> str:
    """An arch in one short cell: ``resolution 24 | depth 2 1 3 | kernel 3 5 … | expand 1 4 …``."""
    groups: dict[str, list[str]] = {}
    for axis, choice in arch.items():
        groups.setdefault(axis.rsplit(".", 1)[-1], []).append(str(choice))
    return " | ".join(f"{kind} {' '.join(choices)}" for kind, choices in groups.items())


# --- errors ----------------------------------------------------------------------------------------


def report(error: NetwrightError) -> int:
    """Print on stderr what went wrong; returns the exit status for it."""
    console = Console(stderr=True)
    console.print(f"[red]error:[/red] {escape(in_commands(str(error)))}", soft_wrap=True, highlight=False)
    if isinstance(error, JobFailedError):
        # The message of a refusal is complete; the log explains what was unforeseen.
        for line in error.log[-LOG_LINES:] if error.code in UNFORESEEN else ():
            console.print(f"  {escape(in_commands(line))}", soft_wrap=True, highlight=False)
        return EXIT_JOB_FAILED
    if isinstance(error, ApiError) and error.actions:
        console.print("this would help:", highlight=False)
        for action in error.actions:
            console.print(f"  {escape(as_command(action))}", soft_wrap=True, highlight=False)
    if isinstance(error, NoSuchPointError):
        return EXIT_INFEASIBLE
    if isinstance(error, UnreachableError | WaitTimeoutError):
        return EXIT_NO_ANSWER
    return EXIT_REFUSED
