"""``netwright keys …`` and ``netwright projects …``: on the server, straight in its database.

The first key opens and closes the service, so keys cannot be made through its API.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from netwright.installed import server_packages
from netwright.output.printing import Columns, Json, Line, show, table_of

if TYPE_CHECKING:
    from datetime import datetime

    from service.db.session import Database

app = typer.Typer(
    no_args_is_help=True,
    help="Keys of the HTTP API, on the server: create, list, revoke. Once there is one, every request needs one.",
)
projects = typer.Typer(
    no_args_is_help=True,
    help="Projects, on the server: create, list. The keys of a project see nothing of the others.",
)
DEFAULT = "default"
ProjectName = Annotated[str, typer.Option("--project", help="Project of the key.")]
COLUMNS: Columns = {
    "name": "name",
    "scopes": ("scopes", " ".join),
    "target": "target",
    "created_at": "created",
    "expires_at": "expires",
    "revoked_at": "revoked",
}


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
            help="read, write, agent (measure for one target, nothing else) or admin; may be repeated."
        ),
    ],
    project: ProjectName = DEFAULT,
    target: Annotated[
        str | None, typer.Option(help="The target that a key with the scope agent measures for.")
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, help="Days until it expires; without it, never.")] = None,
    as_json: Json = False,
) -> None:
    """Make a key and print it; it is shown this once."""
    with _database() as database, database.write() as session:
        from datetime import timedelta

        from service.db.tables import now
        from service.http.keys import make_key, project_named

        expires_at = now() + timedelta(days=days) if days is not None else None
        owner = project_named(session, project).id
        row, secret = make_key(session, owner, name, scope, target=target, expires_at=expires_at)
        key = {
            "name": row.name,
            "project": project,
            "scopes": row.scopes,
            "target": target,
            "expires_at": _minute(row.expires_at),
            "key": secret,
        }
    show(key, [Line(secret)], as_json)


@app.command("list")
def list_(project: ProjectName = DEFAULT, as_json: Json = False) -> None:
    """All keys of a project, without their secrets."""
    with _database() as database, database.read() as session:
        from service.db.tables import Target
        from service.http.keys import list_keys, project_named

        rows = []
        for row in list_keys(session, project_named(session, project).id):
            target = session.get(Target, row.target_id) if row.target_id is not None else None
            rows.append(
                {
                    "name": row.name,
                    "scopes": row.scopes,
                    "target": target.name if target is not None else None,
                    "created_at": _minute(row.created_at),
                    "expires_at": _minute(row.expires_at),
                    "revoked_at": _minute(row.revoked_at),
                }
            )
    show(rows, [table_of(rows, COLUMNS)], as_json)


@app.command()
def revoke(
    name: Annotated[str, typer.Argument(help="Name of a key.")],
    project: ProjectName = DEFAULT,
    as_json: Json = False,
) -> None:
    """Refuse a key from now on. The service still needs a key, even when no other key is left."""
    with _database() as database, database.write() as session:
        from service.http.keys import project_named, revoke_key

        revoke_key(session, project_named(session, project).id, name)
    show({"name": name, "revoked": True}, [Line(f"{name} is revoked")], as_json)


@projects.command("create")
def create_project(
    name: Annotated[str, typer.Argument(help="Your own name for it.")], as_json: Json = False
) -> None:
    """Make a project; its first key is made by `netwright keys create NAME --project PROJECT --scope …`."""
    with _database() as database, database.write() as session:
        from service.http.keys import make_project

        made = {"id": make_project(session, name).id, "name": name}
    show(made, [Line(f"project {name}")], as_json)


@projects.command("list")
def list_projects(as_json: Json = False) -> None:
    """All projects, with the number of their keys."""
    with _database() as database, database.read() as session:
        from service.http.keys import list_keys, list_projects

        rows = [
            {"id": row.id, "name": row.name, "keys": len(list_keys(session, row.id))}
            for row in list_projects(session)
        ]
    show(rows, [table_of(rows, {"id": "id", "name": "name", "keys": "keys"})], as_json)


def _minute(at: datetime | None) -> str | None:
    return f"{at:%Y-%m-%d %H:%M}" if at is not None else None
