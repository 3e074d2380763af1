"""``netwright keys …``: on the server, straight in its database, since the first key opens and closes the service."""

from __future__ import annotations

from typing import Annotated

import typer

from netwright.commands.output import Columns, Json, Line, show, table_of
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
    show(key, [Line(key["key"])], as_json)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """All keys, without their secrets."""
    need_server()
    from netwright import server_commands

    rows = server_commands.list_keys()
    columns: Columns = {
        "name": "name",
        "scopes": ("scopes", " ".join),
        "created_at": "created",
        "revoked_at": "revoked",
    }
    show(rows, [table_of(rows, columns)], as_json)


@app.command()
def revoke(name: Annotated[str, typer.Argument(help="Name of a key.")], as_json: Json = False) -> None:
    """Refuse a key from now on. The service still needs a key, even when no other key is left."""
    need_server()
    from netwright import server_commands

    server_commands.revoke_key(name)
    show({"name": name, "revoked": True}, [Line(f"{name} is revoked")], as_json)
