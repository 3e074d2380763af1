"""``netwright front …``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from netwright.commands.output import (
    Json,
    client_of,
    number,
    print_json,
    print_table,
    stdout,
    with_error,
    words,
)
from netwright.constraints import parse_limit
from netwright.resources.fronts import Front, Point

app = typer.Typer(
    no_args_is_help=True, help="Non-dominated subnets: of one search, or the best of everything stored."
)
Archs = Annotated[bool, typer.Option("--arch", help="Show the arch of every point too.")]


@app.command()
def show(
    context: typer.Context,
    search: Annotated[str, typer.Argument(help="Id of a search.")],
    pick: Annotated[
        str | None, typer.Option(help="knee, best, buckets or spread: only that choice, with reasons.")
    ] = None,
    k: Annotated[int | None, typer.Option(min=1, help="How many points to pick.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Save the whole front as CSV here.")] = None,
    arch: Archs = False,
    as_json: Json = False,
) -> None:
    """The front of a search: for each point what was predicted and what was measured."""
    client = client_of(context)
    front = client.fronts.of_search(search, pick=pick, k=k)
    if csv:
        client.fronts.save(search, csv, format="csv")
    print_json(front.data) if as_json else print_front(front, archs=arch)


@app.command("pick")
def pick_(
    context: typer.Context,
    search: Annotated[str, typer.Argument(help="Id of a search.")],
    how: Annotated[
        str, typer.Option(help="best, knee, buckets (the best of each part of a budget) or spread.")
    ] = "best",
    k: Annotated[int | None, typer.Option(min=1, help="How many points.")] = None,
    by: Annotated[str | None, typer.Option(help="Metric whose range the buckets divide.")] = None,
    target: Annotated[
        str | None, typer.Option(help="Whose latency is meant: id or name of a target.")
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option("--limit", "-l", help="latency_ms=18, 'macs<=5e6', 'accuracy>=0.9'; may be repeated."),
    ] = None,
    arch: Archs = False,
    as_json: Json = False,
) -> None:
    """Choose points of a front by their true values, and say why. Exit status 3: none meets the limits."""
    client = client_of(context)
    limits: dict[str, float] = {}
    for text in limit or []:
        row = parse_limit(text)
        limits |= {f"{side}_{row['metric']}": row[side] for side in ("min", "max") if side in row}
    named = client.targets.get(target).id if target else None
    found = client.fronts.of_search(search).picks(how, k, by=by, target=named, **limits)
    print_json(found.data) if as_json else print_front(found, archs=arch)


@app.command()
def best(
    context: typer.Context,
    supernet: Annotated[str, typer.Option(help="Id or name of a supernet.")],
    target: Annotated[str, typer.Option(help="Id or name of a target.")],
    max_latency_ms: Annotated[float | None, typer.Option(help="Only subnets measured within this.")] = None,
    min_accuracy: Annotated[float | None, typer.Option(help="Only subnets at least this accurate.")] = None,
    arch: Archs = False,
    as_json: Json = False,
) -> None:
    """The best of everything stored, over all searches."""
    front = client_of(context).fronts.best(
        supernet, target, max_latency_ms=max_latency_ms, min_accuracy=min_accuracy
    )
    print_json(front.data) if as_json else print_front(front, archs=arch)


def print_front(front: Front, to: Console | None = None, *, archs: bool = False) -> None:
    """One line a point, fastest first."""
    points = sorted(front, key=lambda point: point.value("latency_ms") or float("inf"))
    columns = [
        "latency_ms",
        "verdict",
        "on test",
        "on validation",
        "predicted latency",
        "MACs",
        "params",
        "subnet",
    ]
    rows = [[*_row(point), *([words(point["arch"])] if archs else [])] for point in points]
    total = front.data["total"]
    title = f"{total} points" if len(front) == total else f"{len(front)} of {total} points"
    print_table([*columns, *(["arch"] if archs else [])], rows, title, to)
    for point in points:
        if point.reason:
            (to or stdout()).print(
                f"{point.id}: {point.reason}", markup=False, highlight=False, soft_wrap=True
            )
    if front.data.get("note"):
        (to or stdout()).print(front.data["note"], markup=False, highlight=False, soft_wrap=True)


def _row(point: Point) -> list[str]:
    measured = next((row for row in point["measured"] if row["metric"] == "latency_ms"), None)
    predicted = next((row for row in point["predicted"] if row["metric"] == "latency_ms"), None)
    test, validation = point["quality"], point["validation"]
    return [
        with_error(measured["value"], measured["spread"]) if measured else "-",
        (measured["verdict"] or "-") if measured else "-",
        with_error(test["value"], test["standard_error"]) if test else "-",
        number(validation["value"]) if validation else "-",
        f"{number(predicted['mean'])} ({number(predicted['low'])} to {number(predicted['high'])})"
        if predicted
        else "-",
        number(point["costs"].get("macs", 0)),
        number(point["costs"].get("params", 0)),
        point.id,
    ]
