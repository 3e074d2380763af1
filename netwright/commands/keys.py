"""``netwright keys …``: on the server, straight in its database, since the first key opens and closes the service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from netwright.installed import server_packages
from netwright.output.printing import Columns, Json, Line, show, table_of

if TYPE_CHECKING:
    from service.db.session import Database

app = typer.Typer(
    no_args_is_help=True,
    help="Keys of the HTTP API, on the server: create, list, revoke. Once there is one, every request needs one.",
)


@contextmanager
def _database() -> Iterator[Database]:
    with server_packages():
        from service.db.session import Database
        from service.run import require_schema
        from service.settings import Settings

        settings = Settings()
        require_schema(settings)
        database = Database(settings.database)
        try:
            yield database
        finally:
            database.dispose()


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
    with _database() as database, database.write() as session:
        from service.http.keys import make_key
        from service.ids import DEFAULT_PROJECT

        row, secret = make_key(session, DEFAULT_PROJECT, name, scope)
        key = {"name": row.name, "scopes": row.scopes, "key": secret}
    show(key, [Line(secret)], as_json)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """All keys, without their secrets."""
    with _database() as database, database.read() as session:
        from service.http.keys import list_keys
        from service.ids import DEFAULT_PROJECT

        rows = [
            {
                "name": row.name,
                "scopes": row.scopes,
                "created_at": f"{row.created_at:%Y-%m-%d %H:%M}",
                "revoked_at": f"{row.revoked_at:%Y-%m-%d %H:%M}" if row.revoked_at else None,
            }
            for row in list_keys(session, DEFAULT_PROJECT)
        ]
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
    with _database() as database, database.write() as session:
        from service.http.keys import revoke_key
        from service.ids import DEFAULT_PROJECT

        revoke_key(session, DEFAULT_PROJECT, name)
    show({"name": name, "revoked": True}, [Line(f"{name} is revoked")], as_json)
