"""``netwright targets …``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from netwright.client import Client
from netwright.client.jobs import DEFAULT_TIMEOUT_S
from netwright.client.predictors import Predictor
from netwright.client.supernets import space_of
from netwright.commands.options import (
    OnServer,
    Priority,
    Seed,
    SomeSupernet,
    SupernetOption,
    TargetArgument,
    pairs,
    value_of,
)
from netwright.errors import NetwrightError
from netwright.metric_names import LATENCY
from netwright.output.cards import (
    import_card,
    measurements_table,
    predictors_table,
    removed_card,
    target_card,
    targets_table,
)
from netwright.output.printing import Fields, Json, Line, Timeout, client_of, show, show_all

app = typer.Typer(
    no_args_is_help=True,
    help="Hardware targets: list, add, show, refresh, measure, import, measurements, predictors.",
)
COUNT, COUNT_UNTIL = 30, 200


@app.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """All targets."""
    targets = client_of(context).targets.list()
    show_all(targets, [targets_table(targets)], as_json)


@app.command()
def add(
    context: typer.Context,
    kind: Annotated[
        str,
        typer.Argument(
            help="cpu is the machine of the server's worker, agent another one, where an agent runs."
        ),
    ] = "cpu",
    name: Annotated[str | None, typer.Option(help="Your own name for it.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A setting such as threads=1; may be repeated.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Register a target."""
    settings = {key: value_of(text) for key, text in pairs(set_, "--set", "threads=1").items()}
    target = client_of(context).targets.add(kind, name=name, settings=settings)
    show(target.to_dict(), target_card(target), as_json)


@app.command()
def delete(context: typer.Context, target: TargetArgument, as_json: Json = False) -> None:
    """Delete a target, or archive it where other resources refer to it."""
    removed = client_of(context).targets.get(target).delete()
    show(removed.to_dict(), removed_card(removed), as_json)


@app.command("show")
def show_(context: typer.Context, target: TargetArgument, as_json: Json = False) -> None:
    """One target: device, runtime, settings, agents, and whether its measurements are current."""
    found = client_of(context).targets.get(target)
    show(found.to_dict(), target_card(found), as_json)


@app.command()
def refresh(context: typer.Context, target: TargetArgument, as_json: Json = False) -> None:
    """Adopt the runtime that is installed now; earlier measurements become stale."""
    found = client_of(context).targets.get(target).reset()
    show(found.to_dict(), target_card(found), as_json)


@app.command()
def measure(
    context: typer.Context,
    target: TargetArgument,
    supernet: SupernetOption,
    count: Annotated[
        int | None,
        typer.Option(min=1, help="How many subnets, at most; by default 30, or 200 with --until."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            help='Stop when a predictor is good enough: "mape<3%", the mean error on held-out rows.'
        ),
    ] = None,
    choose: Annotated[
        str | None,
        typer.Option(
            help="information (what reduces the uncertainty most, the default where other targets of the space are "
            "measured) or spread."
        ),
    ] = None,
    seed: Seed = 0,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="Another metric to measure along with the latency, of those that the target lists; may be repeated."
        ),
    ] = None,
    priority: Priority = None,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Measure subnets on a target, and wait."""
    client = client_of(context)
    below = None if until is None else _below(until)
    job = client.targets.get(target).measure(
        supernet,
        until=below,
        count=count or (COUNT if below is None else COUNT_UNTIL),
        seed=seed,
        choose=choose,
        priority=priority,
        metrics=list(dict.fromkeys([LATENCY, *(metric or [])])),
    )
    job.wait(timeout, not as_json)
    rows = client.measurements.list(job=job.id)
    show_all(rows, [measurements_table(rows), *([Line(job.message or "")] if until else [])], as_json)


def _below(text: str) -> float:
    """``mape<3%`` and ``mape<0.03`` as 0.03."""
    found = re.fullmatch(r"\s*mape\s*<\s*([0-9.]+)\s*(%?)\s*", text)
    try:
        below = float(found[1]) / (100 if found[2] else 1) if found else 0.0
    except ValueError:
        below = 0.0
    if not 0 < below < 1:
        raise typer.BadParameter(
            f'it must look like "mape<3%" or "mape<0.03", got {text!r}', param_hint="--until"
        )
    return below


@app.command()
def measurements(
    context: typer.Context, target: TargetArgument, supernet: SomeSupernet = None, as_json: Json = False
) -> None:
    """All measurements of a target."""
    client = client_of(context)
    rows = client.measurements.list(target=target, supernet=supernet)
    show_all(rows, [measurements_table(rows)], as_json)


@app.command()
def predictors(context: typer.Context, target: TargetArgument, as_json: Json = False) -> None:
    """The predictors of a target, with their report cards."""
    client = client_of(context)
    rows = client.predictors.list(target=target)
    show_all(rows, predictors_table(rows, client.targets.names()), as_json)


@app.command("import")
def import_(
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
            help="Column that identifies the arch of a row; may be repeated, or several joined by commas. Of a "
            "supernet: its axes (by default every axis that the table has), or the only one, with arch ids or JSON. "
            "With --space: any columns; COL:digits or COL:words is one axis a digit or word, COL:value is one axis."
        ),
    ] = None,
    depth_axis: Annotated[
        str | None,
        typer.Option(help="With --space: the --arch column with the number of digits or words that count."),
    ] = None,
    params: Annotated[
        str | None, typer.Option(help="With --space: column with parameters; COL:M if in millions (K, M, G).")
    ] = None,
    macs: Annotated[
        str | None, typer.Option(help="With --space: column with multiply-accumulates; COL:M if in millions.")
    ] = None,
    unit: Annotated[str, typer.Option(help="Unit of the latency: ms, s, us or ns.")] = "ms",
    name: Annotated[
        str | None, typer.Option(help="Name of the target; by default that of the column.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="What was measured, in your words.")] = None,
    runtime: Annotated[str | None, typer.Option(help="With which runtime, in your words.")] = None,
    precision: Annotated[str, typer.Option(help="At which precision.")] = "fp32",
    batch: Annotated[int, typer.Option(min=1, help="At which batch size.")] = 1,
    strict: Annotated[bool, typer.Option("--strict", help="Import nothing if any row is refused.")] = False,
    accept_jumps: Annotated[
        bool,
        typer.Option(
            "--accept-jumps",
            help="Accept rows about 1000x from the rest, as networks that compile to nothing.",
        ),
    ] = False,
    on_server: OnServer = False,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Make a target from measurements that were taken elsewhere, and wait."""
    _check_import(table, latency, operators, supernet, space)
    client = client_of(context)
    columns = [column for text in arch or [] for column in text.split(",") if column]
    called = name or re.sub(r"\.ya?ml$", "", (latency or operators or "").rsplit("/", 1)[-1])
    settings = {"device": device or called, "runtime": runtime, "precision": precision, "batch": batch}
    stated = {name: value for name, value in settings.items() if value is not None}
    if operators is not None:
        predictor = _import_operators(
            client, _target_name(called), stated, supernet or "", operators, on_server
        )
        predictor.wait(timeout, not as_json)
        show(predictor.to_dict(), predictors_table([predictor], {str(predictor.target): called}), as_json)
        return
    spanned = (
        None
        if space is None
        else {"name": space, **space_of(columns, depth_axis=depth_axis, params=params, macs=macs)}
    )
    job, target_id, supernet_id = client.targets.import_table(
        *(_target_name(called), table or "", latency or ""),
        supernet=supernet,
        space=spanned,
        settings=stated,
        on_server=on_server,
        unit=unit,
        archs=[] if space is not None else columns,
        strict=strict,
        accept_jumps=accept_jumps,
    )
    try:
        job.wait(timeout, not as_json)
    except NetwrightError:
        if job.finished and not as_json:
            show(None, import_card(job.result or {}), as_json)
        raise
    result = job.result or {}
    target, found = client.targets.get(target_id), client.supernets.get(supernet_id)
    errors = [
        Line(
            f"{each}: closed form within {error['median']:.2%}, at worst {error['worst']:.2%}, of rows left out"
        )
        for each, error in found.report.get("cost_errors", {}).items()
    ]
    summary = Fields({"target": target.id, "name": target.name, "supernet": found.name})
    answer = {"target": target.id, "supernet": found.id, "job": job.id, **result}
    show(answer, [summary, *import_card(result), *errors], as_json)


def _check_import(
    table: str | None, latency: str | None, operators: str | None, supernet: str | None, space: str | None
) -> None:
    rules: Sequence[tuple[bool, str, str]] = (
        ((table is None) != (operators is None), "give exactly one of --table and --operators", "--table"),
        (
            (table is None) == (latency is None),
            "give --latency with --table, and not with --operators",
            "--latency",
        ),
        ((supernet is None) != (space is None), "give exactly one of --supernet and --space", "--supernet"),
        (operators is None or supernet is not None, "operators are those of a --supernet", "--operators"),
    )
    for holds, rule, option in rules:
        if not holds:
            raise typer.BadParameter(rule, param_hint=option)


def _import_operators(
    client: Client, name: str, settings: Mapping[str, object], supernet: str, file: str, on_server: bool
) -> Predictor:
    """The predictor of a table of operators; a target that was created for it is removed if that fails."""
    found = client.supernets.get(supernet)
    existing = {target.id for target in client.targets.list(name=name)}
    target = client.targets.add("table", name=name, settings=settings)
    try:
        return client.predictors.import_file(found.id, file, target=target.id, on_server=on_server)
    except NetwrightError:
        if target.id not in existing:
            client.connection.delete(f"{target.path}/{target.id}")
        raise


def _target_name(column: str) -> str:
    """A column's name with the characters that a target's name may have."""
    return re.sub(r"^[^A-Za-z0-9]+", "", re.sub(r"[^A-Za-z0-9._ -]", "-", column))[:80] or "table"
