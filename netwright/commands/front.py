"""``netwright front …``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from netwright.commands.output import Json, client_of, number, print_json, print_table, words
from netwright.resources.fronts import Front, Point

app = typer.Typer(
    no_args_is_help=True, help="Non-dominated subnets: of one search, or the best of everything stored."
)


@app.command()
def show(
    context: typer.Context,
    search: Annotated[str, typer.Argument(help="Id of a search.")],
    pick: Annotated[str | None, typer.Option(help="knee or best: only that choice.")] = None,
    k: Annotated[int | None, typer.Option(min=1, help="How many points to pick.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Save the whole front as CSV here.")] = None,
    as_json: Json = False,
) -> None:
    """The front of a search: for each point what was predicted and what was measured."""
    client = client_of(context)
    front = client.fronts.of_search(search, pick=pick, k=k)
    if csv:
        client.fronts.save(search, csv, format="csv")
    print_json(front.data) if as_json else print_front(front)


@app.command()
def best(
    context: typer.Context,
    supernet: Annotated[str, typer.Option(help="Id or name of a supernet.")],
    target: Annotated[str, typer.Option(help="Id or name of a target.")],
    max_latency_ms: Annotated[float | None, typer.Option(help="Only subnets measured within this.")] = None,
    min_accuracy: Annotated[float | None, typer.Option(help="Only subnets at least this accurate.")] = None,
    as_json: Json = False,
) -> None:
    """The best of everything stored, over all searches."""
    front = client_of(context).fronts.best(
        supernet, target, max_latency_ms=max_latency_ms, min_accuracy=min_accuracy
    )
    print_json(front.data) if as_json else print_front(front)


def print_front(front: Front, console: Console | None = None) -> None:
    """One line a point, fastest first."""
    rows = sorted((_row(point) for point in front), key=lambda row: row[0])
    columns = (
        "latency_ms",
        "verdict",
        "quality on test",
        "predicted latency",
        "MACs",
        "params",
        "subnet",
        "arch",
    )
    title = f"{len(front)} of {front.data['total']} points"
    print_table(columns, [row[1:] for row in rows], title, console)


def _row(point: Point) -> tuple[float | str, ...]:
    measured = next((row for row in point["measured"] if row["metric"] == "latency_ms"), None)
    predicted = next((row for row in point["predicted"] if row["metric"] == "latency_ms"), None)
    quality = point["quality"]
    return (
        measured["value"] if measured else float("inf"),
        f"{number(measured['value'])} ± {number(measured['spread'] or 0)}" if measured else "-",
        (measured["verdict"] or "-") if measured else "-",
        f"{quality['value']:.4f} ± {quality['standard_error']:.4f}" if quality else "-",
        f"{number(predicted['mean'])} ({number(predicted['low'])} to {number(predicted['high'])})"
        if predicted
        else "-",
        float(point["costs"].get("macs", 0)),
        float(point["costs"].get("params", 0)),
        point.id,
        words(point["arch"]),
    )
