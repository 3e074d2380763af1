"""How commands speak: tables for people, JSON for scripts, errors in readable form on stderr."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from netwright.client import Client
from netwright.commands.hints import as_command
from netwright.errors import (
    ApiError,
    JobFailedError,
    NetwrightError,
    NoSuchPointError,
    UnreachableError,
    WaitTimeoutError,
)

EXIT_REFUSED, EXIT_USAGE, EXIT_INFEASIBLE, EXIT_JOB_FAILED, EXIT_NO_ANSWER = 1, 2, 3, 4, 5
LOG_LINES = 10
UNFORESEEN = ("internal", "child_died")
PIPE_WIDTH = 160

Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts instead of tables for people.")]
Timeout = Annotated[
    float, typer.Option(min=1, help="Give up waiting after this many seconds; the job goes on.")
]


@dataclass(frozen=True, slots=True)
class Where:
    """The server that the commands talk to."""

    url: str
    key: str | None

    def client(self) -> Client:
        """A client of it."""
        return Client(self.url, self.key)


def client_of(context: typer.Context) -> Client:
    """The client for the options given before the command; closed when the command ends."""
    where: Where = context.find_object(Where) or Where("", None)
    client = where.client()
    context.call_on_close(client.close)
    return client


def stdout(*, record: bool = False) -> Console:
    """Where tables go: as wide as the terminal, and wide enough for a line a row where there is none."""
    piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(width=PIPE_WIDTH if piped else None, record=record)


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    typer.echo(json.dumps(value, indent=2, default=dict))


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    title: str | None = None,
    console: Console | None = None,
) -> None:
    """A table on stdout; long cells are folded, never cut."""
    table = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in ("id", "subnet"))
    count = 0
    for row in rows:
        table.add_row(*[escape(cell(value)) for value in row])
        count += 1
    (console or stdout()).print(table if count else f"nothing yet{f': {title}' if title else ''}")


def print_fields(data: Mapping[str, Any], names: Sequence[str] | None = None) -> None:
    """One thing, a line a field; nested values as compact JSON."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name in names or list(data):
        if name in data:
            table.add_row(name, escape(cell(data[name])))
    stdout().print(table)


def cell(value: Any) -> str:
    """A value as people read it: four significant digits, `-` for nothing."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, str | int):
        return str(value)
    return json.dumps(value, default=dict)


def number(value: float) -> str:
    """Four significant digits, thousands grouped: ``0.06421``, ``17,840``."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def moment(text: str) -> str:
    """An ISO time to the second: ``2026-11-23 21:14:47``."""
    return text[:19].replace("T", " ")


def with_error(value: float, error: float | None) -> str:
    """Value and standard error, to two significant digits of the error: ``0.02080 ± 0.00012``."""
    if not error or not math.isfinite(error):
        return number(value)
    decimals = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"


def words(arch: Mapping[str, Any]) -> str:
    """An arch in one short cell: ``resolution 24 | depth 2 1 3 | kernel 3 5 … | expand 1 4 …``."""
    groups: dict[str, list[str]] = {}
    for axis, choice in arch.items():
        groups.setdefault(axis.rsplit(".", 1)[-1], []).append(str(choice))
    return " | ".join(f"{kind} {' '.join(choices)}" for kind, choices in groups.items())


def report(error: NetwrightError) -> int:
    """Say on stderr what went wrong; returns the exit status that stands for it."""
    console = Console(stderr=True)
    console.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True, highlight=False)
    if isinstance(error, JobFailedError):
        # A refusal says it all; the log is for what nobody foresaw.
        for line in error.log[-LOG_LINES:] if error.code in UNFORESEEN else ():
            console.print(f"  {escape(line)}", soft_wrap=True, highlight=False)
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
