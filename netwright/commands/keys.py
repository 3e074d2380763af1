"""``netwright keys …``: on the server, straight in its database, since the first key opens and closes the service."""

from __future__ import annotations

from typing import Annotated

import typer

from netwright.commands.output import Json, print_json, print_table
from netwright.commands.server import need_server

app = typer.Typer(
    no_args_is_help=True,
    help="Keys of the HTTP API, on the server: create, list, revoke. Once there is one, every request needs one.",
)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Your own name for it.")],
    scope: Annotated[
        list[str],
        typer.Option(
            help="read, write, agent (measure for a target, nothing else) or admin; may be repeated."
        ),
    ],
    as_json: Json = False,
) -> None:
    """Make a key and print it; it is shown this once."""
    need_server()
    from netwright import server_commands

    key = server_commands.create_key(name, scope)
    print_json(key) if as_json else typer.echo(key["key"])


@app.command("list")
def list_(as_json: Json = False) -> None:
    """All keys, without their secrets."""
    need_server()
    from netwright import server_commands

    rows = server_commands.list_keys()
    if as_json:
        print_json(rows)
        return
    columns = ("name", "scopes", "created_at", "revoked_at")
    print_table(columns, [(r["name"], " ".join(r["scopes"]), r["created_at"], r["revoked_at"]) for r in rows])


@app.command()
def revoke(name: Annotated[str, typer.Argument(help="Name of a key.")]) -> None:
    """Refuse a key from now on. The service stays closed, also when no other key is left."""
    need_server()
    from netwright import server_commands

    server_commands.revoke_key(name)
    typer.echo(f"{name} is revoked")
