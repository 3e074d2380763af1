"""``netwright supernets …``."""

from __future__ import annotations

from typing import Annotated

import typer

from netwright.commands.output import Json, Timeout, client_of, print_fields, print_json, print_table
from netwright.commands.supernet_card import print_supernet
from netwright.commands.training import train
from netwright.resources.jobs import DEFAULT_TIMEOUT_S

app = typer.Typer(no_args_is_help=True, help="Supernets: list, add, train, show, evaluate.")
app.command()(train)
Supernet = Annotated[str, typer.Argument(help="Id or name of a supernet.")]


@app.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """All supernets."""
    rows = list(client_of(context).supernets.list())
    if as_json:
        print_json([row.data for row in rows])
        return
    columns = ("id", "name", "family", "quality", "subnets", "data", "source")
    print_table(
        columns,
        [
            (
                r.id,
                r["name"],
                r["family"],
                r["quality"],
                float(r["space_size"]),
                r["data"].get("name"),
                r["source"],
            )
            for r in rows
        ],
    )


@app.command()
def add(
    context: typer.Context,
    zoo: Annotated[str | None, typer.Argument(help="Name of a supernet of the zoo, e.g. digits.")] = None,
    path: Annotated[
        str | None, typer.Option(help="A supernet directory inside the server's NETWRIGHT_IMPORT_DIR.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Your own name for it.")] = None,
    as_json: Json = False,
) -> None:
    """Register a supernet: one of the zoo, or a directory on the server."""
    supernet = client_of(context).supernets.add(zoo, path=path, name=name)
    print_json(supernet.data) if as_json else print_supernet(supernet.data)


@app.command()
def show(context: typer.Context, supernet: Supernet, as_json: Json = False) -> None:
    """One supernet, with its report card."""
    found = client_of(context).supernets.get(supernet)
    print_json(found.data) if as_json else print_supernet(found.data)


@app.command()
def space(context: typer.Context, supernet: Supernet, as_json: Json = False) -> None:
    """The axes and choices of a supernet."""
    found = client_of(context).supernets.get(supernet).space()
    if as_json:
        print_json(found)
        return
    rows = [
        (axis["name"], axis["kind"], " ".join(map(str, axis["choices"])), axis["parent"])
        for axis in found["axes"]
    ]
    print_table(("axis", "kind", "choices", "parent"), rows, f"{float(found['size']):.4g} subnets")


@app.command()
def evaluate(
    context: typer.Context,
    supernet: Supernet,
    count: Annotated[int, typer.Option(min=1, help="How many subnets, spread over the space.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random draw.")] = 0,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Evaluate the quality of subnets on the validation split, and wait."""
    client = client_of(context)
    job = client.supernets.get(supernet).evaluate(count=count, seed=seed).wait(timeout, not as_json)
    print_json(job.data) if as_json else print_fields(job.data, ("id", "state", "message"))
