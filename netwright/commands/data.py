"""``netwright data …``: look at a data set on this machine before training on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netwright.output.data_report import report_sections
from netwright.output.printing import Json, show

app = typer.Typer(no_args_is_help=True, help="Data sets on this machine: check.")


@app.command()
def check(
    spec: Annotated[
        str,
        typer.Argument(
            help="folder:PATH, parquet:PATH, stream:PATH, hub:NAME, digits …; options follow: "
            "folder:photos,channels=3,fit=pad,resolution=64."
        ),
    ],
    sheet: Annotated[
        Path | None,
        typer.Option(help="Write a contact sheet: a few images of each class as the network will see them."),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(min=1, help="Decode at most about this many images of each split; all if absent."),
    ] = None,
    family: Annotated[
        Path | None,
        typer.Option(help="A family's TOML file, or a supernet of the zoo: check that the sizes fit it too."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Report splits, classes, sizes, copies and faults of a data set; exit status 1 where there is an error."""
    from netwright import data_commands

    report = data_commands.check(spec, sheet, images, family)
    if sheet is not None and sheet.exists() and not as_json:
        typer.echo(f"{sheet} shows a few images of each class as the network will see them", err=True)
    answer = {key: value for key, value in report.items() if key != "details"}
    show(answer, report_sections(report), as_json)
    if any(problem["level"] == "error" for problem in report["problems"]):
        raise typer.Exit(1)
