"""The command line: ``netwright COMMAND``; each group of commands is a file in ``netwright/commands``."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated

import typer
from typer.core import TyperGroup

from netwright.commands import (
    agent,
    convert,
    data,
    finetune,
    front,
    jobs,
    keys,
    operations,
    predictors,
    search,
    server,
    supernets,
    targets,
)
from netwright.errors import NetwrightError
from netwright.output.printing import Where, report


class Commands(TyperGroup):
    """Prints an error of the client or the server as a message with an exit status, never as a traceback."""

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        """Run the command."""
        try:
            return super().invoke(ctx)
        except NetwrightError as error:
            raise typer.Exit(report(error)) from error
        except KeyboardInterrupt as stop:
            for note in getattr(stop, "__notes__", ()):  # the job continues
                typer.echo(note, err=True)
            raise


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Fit one neural network to many devices: supernets, targets, predictors, searches, fronts, ONNX files.\n\n"
    "Exit status: 0 done, 1 refused, 2 wrong usage, 3 no subnet meets the limits, 4 the job failed, "
    "5 no answer in time, 130 interrupted.",
)
for name, group in {
    "supernets": supernets.app,
    "targets": targets.app,
    "predictors": predictors.app,
    "search": search.app,
    "front": front.app,
    "data": data.app,
    "jobs": jobs.app,
    "keys": keys.app,
    "projects": keys.projects,
}.items():
    app.add_typer(group, name=name)
app.command()(convert.convert)
app.command()(finetune.finetune)
app.command()(front.export)
app.command()(agent.agent)
SERVER_COMMANDS: tuple[Callable[..., None], ...] = (
    server.serve,
    server.worker,
    server.migrate,
    operations.backup,
    operations.restore,
    operations.prune,
    operations.doctor,
    operations.healthy,
    server.train,
    server.card,
    server.demo,
)
for command in SERVER_COMMANDS:
    app.command()(command)


def _version(requested: bool) -> None:
    if requested:
        typer.echo(f"netwright {version('netwright')}")
        raise typer.Exit


@app.callback()
def main(
    context: typer.Context,
    url: Annotated[
        str | None,
        typer.Option(envvar="NETWRIGHT_URL", help="Address of the server; by default http://127.0.0.1:8000."),
    ] = None,
    key: Annotated[
        str | None, typer.Option(envvar="NETWRIGHT_KEY", help="Key, where the server needs one.")
    ] = None,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """The server that the commands talk to."""
    context.obj = Where(url, key)
