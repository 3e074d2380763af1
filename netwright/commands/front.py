"""``netwright front …``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from netwright.client import Client
from netwright.commands.output import Json, client_of, print_json
from netwright.commands.points import print_front, target_names
from netwright.constraints import parse_limit
from netwright.errors import NetwrightError
from netwright.resources.fronts import Front

app = typer.Typer(
    no_args_is_help=True, help="Non-dominated subnets: of one search, or the best of everything stored."
)
Archs = Annotated[bool, typer.Option("--arch", help="Show the arch of every point too.")]
Csv = Annotated[Path | None, typer.Option(help="Save all points as CSV here.")]
Parquet = Annotated[Path | None, typer.Option(help="Save all points as parquet here.")]
Limits = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        "-l",
        help="Only points within: latency_ms=18, 'macs<=5e6', 'accuracy>=0.9'; may be repeated.",
    ),
]
How = Annotated[
    str | None,
    typer.Option("--pick", help="knee, best, buckets or spread: only that choice, with reasons."),
]
Many = Annotated[int | None, typer.Option("--k", min=1, help="How many points to pick.")]
By = Annotated[str | None, typer.Option(help="Metric whose range the buckets divide.")]


@app.command()
def show(
    context: typer.Context,
    search: Annotated[str, typer.Argument(help="Id of a search.")],
    target: Annotated[
        str | None, typer.Option(help="Of a front for each target: only this one's; id or name.")
    ] = None,
    pick: How = None,
    k: Many = None,
    csv: Csv = None,
    parquet: Parquet = None,
    arch: Archs = False,
    as_json: Json = False,
) -> None:
    """The front of a search: for each point what was predicted and what was measured."""
    client = client_of(context)
    _show(client, client.fronts.of_search(search, pick=pick, k=k, target=target), csv, parquet, arch, as_json)


@app.command("pick")
def pick_(
    context: typer.Context,
    search: Annotated[str, typer.Argument(help="Id of a search.")],
    how: Annotated[
        str, typer.Option(help="best, knee, buckets (the best of each part of a budget) or spread.")
    ] = "best",
    k: Annotated[int | None, typer.Option(min=1, help="How many points.")] = None,
    by: By = None,
    target: Annotated[
        str | None, typer.Option(help="Whose latency is meant: id or name of a target.")
    ] = None,
    limit: Limits = None,
    arch: Archs = False,
    as_json: Json = False,
) -> None:
    """Choose points of a front by their true values, and say why. Exit status 3: none meets the limits."""
    client = client_of(context)
    named = client.targets.get(target).id if target else None
    found = client.fronts.of_search(search).picks(how, k, by=by, target=named, **_limits(limit))
    _show(client, found, None, None, arch, as_json)


@app.command()
def best(
    context: typer.Context,
    supernet: Annotated[str, typer.Option(help="Id or name of a supernet.")],
    target: Annotated[
        str | None, typer.Option(help="Id or name of a target; the worst of all if not given.")
    ] = None,
    limit: Limits = None,
    max_latency_ms: Annotated[float | None, typer.Option(help="Short for --limit latency_ms=…")] = None,
    min_accuracy: Annotated[float | None, typer.Option(help="Short for --limit accuracy=…")] = None,
    pick: How = None,
    k: Many = None,
    by: By = None,
    csv: Csv = None,
    parquet: Parquet = None,
    arch: Archs = False,
    as_json: Json = False,
) -> None:
    """The best of everything stored, over all searches. Exit status 3: nothing to pick within the limits."""
    client = client_of(context)
    short = {"max_latency_ms": max_latency_ms, "min_accuracy": min_accuracy}
    limits: dict[str, Any] = {**_limits(limit), **{k: v for k, v in short.items() if v is not None}}
    found = client.fronts.best(supernet, target, **limits)
    if pick is not None:
        found = found.picks(pick, k, by=by)
    _show(client, found, csv, parquet, arch, as_json)


def _limits(texts: Sequence[str] | None) -> dict[str, float]:
    """Limits as the routes of fronts call them."""
    limits: dict[str, float] = {}
    for text in texts or []:
        row = parse_limit(text)
        if "target" in row:
            raise NetwrightError(f"name the target of a front by --target, got the limit {text!r}")
        limits |= {f"{side}_{row['metric']}": row[side] for side in ("min", "max") if side in row}
    return limits


def _show(
    client: Client, front: Front, csv: Path | None, parquet: Path | None, archs: bool, as_json: bool
) -> None:
    for path, format in ((csv, "csv"), (parquet, "parquet")):
        if path is not None:
            front.save(path, format=format)
    print_json(front.data) if as_json else print_front(front, archs=archs, names=target_names(client))
