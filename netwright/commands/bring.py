"""``netwright targets import``: measurements that somebody else took."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from netwright.commands.output import Json, Timeout, client_of, print_fields, print_json, print_table
from netwright.commands.predictors import print_predictors
from netwright.errors import NetwrightError
from netwright.resources.jobs import DEFAULT_TIMEOUT_S

SHOWN = 20
COUNTS = ("rows", "accepted", "archs", "known", "refused_count")


def import_table(
    context: typer.Context,
    table: Annotated[str | None, typer.Option(help="Parquet or CSV file with one row a measurement.")] = None,
    latency: Annotated[str | None, typer.Option(help="Column of the table with the latency.")] = None,
    operators: Annotated[
        str | None,
        typer.Option(
            help="Instead of --table: once-for-all's YAML with the latency of each operator, in ms."
        ),
    ] = None,
    supernet: Annotated[
        str | None,
        typer.Option(help="Id or name of the supernet, or space of a table, whose archs the rows are."),
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(
            help="For archs without a supernet here: name of the space that the --arch columns span."
        ),
    ] = None,
    arch: Annotated[
        list[str] | None,
        typer.Option(
            help="Column that says which arch a row is; may be repeated, or several joined by commas. Of a supernet: "
            "its axes (without it every axis that the table has), or the only one, with arch ids or JSON. With "
            "--space: any columns; COL:digits or COL:words is one axis a digit or word, COL:value is one axis."
        ),
    ] = None,
    depth_axis: Annotated[
        str | None,
        typer.Option(help="With --space: the --arch column that says how many digits or words count."),
    ] = None,
    params: Annotated[
        str | None, typer.Option(help="With --space: column with parameters; COL:M if in millions (K, M, G).")
    ] = None,
    macs: Annotated[
        str | None, typer.Option(help="With --space: column with multiply-accumulates; COL:M if in millions.")
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
    _check_options(table, latency, operators, supernet, space)
    client, columns = client_of(context), _columns(arch or [])
    called = name or _name(latency or Path(operators or "").stem)
    file = table or operators or ""
    settings = {"device": device or called, "runtime": runtime, "precision": precision, "batch": batch}
    if space is not None:
        found = client.supernets.add_table(
            space, file, columns, depth_axis=depth_axis, params=params, macs=macs, on_server=on_server
        )
        columns = []
    else:
        found = client.supernets.get(supernet or "")
    target = client.targets.add(
        "table", name=called, settings={key: value for key, value in settings.items() if value is not None}
    )
    if operators is not None:
        predictor = client.predictors.bring(found.id, file, target=target.id, on_server=on_server)
        predictor.wait(timeout, not as_json)
        print_json(predictor.data) if as_json else print_predictors([predictor], {target.id: target["name"]})
        return
    job = target.bring(
        found.id,
        file,
        latency or "",
        unit=unit,
        archs=columns,
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
    print_fields({"target": target.id, "name": target["name"], "supernet": found["name"]})
    print_fields(result, COUNTS)
    print_refused(result)
    for metric, error in (found.get("report") or {}).get("cost_errors", {}).items():
        typer.echo(
            f"{metric}: closed form within {error['median']:.2%}, at worst {error['worst']:.2%}, of rows left out"
        )


def _check_options(
    table: str | None, latency: str | None, operators: str | None, supernet: str | None, space: str | None
) -> None:
    if (table is None) == (operators is None):
        raise typer.BadParameter("give exactly one of --table and --operators", param_hint="--table")
    if (table is None) != (latency is None):
        raise typer.BadParameter(
            "give --latency with --table, and not with --operators", param_hint="--latency"
        )
    if (supernet is None) == (space is None):
        raise typer.BadParameter("give exactly one of --supernet and --space", param_hint="--supernet")
    if operators is not None and supernet is None:
        raise typer.BadParameter("operators are those of a --supernet", param_hint="--operators")


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
