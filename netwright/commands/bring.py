"""``netwright targets import``: measurements that somebody else took."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from netwright.commands.output import Json, Timeout, client_of, print_fields, print_json, print_table
from netwright.errors import NetwrightError
from netwright.resources.jobs import DEFAULT_TIMEOUT_S

SHOWN = 20
COUNTS = ("rows", "accepted", "archs", "known", "refused_count")


def import_table(
    context: typer.Context,
    table: Annotated[str, typer.Option(help="Parquet or CSV file with one row a measurement.")],
    latency: Annotated[str, typer.Option(help="Column with the latency.")],
    supernet: Annotated[str, typer.Option(help="Id or name of the supernet whose archs the rows are.")],
    arch: Annotated[
        list[str] | None,
        typer.Option(
            help="Column that says which arch a row is: an axis of the supernet, or the only one, with arch ids "
            "or JSON. May be repeated, or several joined by commas; without it every axis that the table has."
        ),
    ] = None,
    unit: Annotated[str, typer.Option(help="Unit of the latency: ms, s, us or ns.")] = "ms",
    name: Annotated[
        str | None, typer.Option(help="Name of the target; the column's name if not given.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="What was measured, in your words.")] = None,
    runtime: Annotated[str | None, typer.Option(help="With which runtime, in your words.")] = None,
    precision: Annotated[str, typer.Option(help="At which precision.")] = "fp32",
    batch: Annotated[int, typer.Option(min=1, help="At which batch size.")] = 1,
    strict: Annotated[bool, typer.Option("--strict", help="Take nothing if any row is refused.")] = False,
    accept_jumps: Annotated[
        bool,
        typer.Option(
            "--accept-jumps", help="Take rows about 1000x from the rest, as nets that compile to nothing."
        ),
    ] = False,
    on_server: Annotated[
        bool, typer.Option("--on-server", help="The file lies in the server's NETWRIGHT_IMPORT_DIR.")
    ] = False,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Make a target from measurements that somebody else took, and wait."""
    client = client_of(context)
    called = name or _name(latency)
    settings = {"device": device or called, "runtime": runtime, "precision": precision, "batch": batch}
    found = client.supernets.get(supernet)
    target = client.targets.add(
        "table", name=called, settings={key: value for key, value in settings.items() if value is not None}
    )
    job = target.bring(
        found.id,
        table if on_server else Path(table),
        latency,
        unit=unit,
        archs=_columns(arch or []),
        on_server=on_server,
        strict=strict,
        accept_jumps=accept_jumps,
    )
    try:
        job.wait(timeout, not as_json)
    except NetwrightError:
        if job.finished and not as_json:
            print_refused(job.data.get("result") or {})
        raise
    result = job["result"]
    if as_json:
        print_json({"target": target.id, "supernet": found.id, "job": job.id, **result})
        return
    print_fields({"target": target.id, "name": target["name"], **{key: result[key] for key in COUNTS}})
    print_refused(result)


def _columns(given: Sequence[str]) -> list[str]:
    return [column for text in given for column in text.split(",") if column]


def _name(column: str) -> str:
    """The column's name as a target may be called."""
    return re.sub(r"^[^A-Za-z0-9]+", "", re.sub(r"[^A-Za-z0-9._ -]", "-", column))[:80] or "table"


def print_refused(result: Mapping[str, Any]) -> None:
    """What was refused, row by row, and what to think about."""
    refused = result.get("refused") or []
    if refused:
        rows = [(each["row"], each["rule"], each["got"], each["reason"]) for each in refused[:SHOWN]]
        count = result["refused_count"]
        shown = f"the first {len(rows)} of {count}" if count > len(rows) else f"all {count}"
        print_table(("row", "rule", "got", "why"), rows, f"refused rows, {shown}")
    for warning in result.get("warnings") or []:
        typer.echo(f"warning: {warning}", err=True)
