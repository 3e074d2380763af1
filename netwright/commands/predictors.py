"""``netwright predictors …``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netwright.client.jobs import DEFAULT_TIMEOUT_S
from netwright.commands.options import OnServer, SomeSupernet, SomeTarget, SupernetOption
from netwright.output.cards import fitted_card, predictor_card, predictors_table, removed_card
from netwright.output.printing import Json, Timeout, client_of, show, show_all

app = typer.Typer(no_args_is_help=True, help="Predictors and their report cards: list, fit, import, show.")


@app.command("list")
def list_(
    context: typer.Context,
    supernet: SomeSupernet = None,
    target: SomeTarget = None,
    metric: Annotated[str | None, typer.Option(help="Name of a metric.")] = None,
    as_json: Json = False,
) -> None:
    """All predictors."""
    client = client_of(context)
    rows = client.predictors.list(supernet=supernet, target=target, metric=metric)
    show_all(rows, predictors_table(rows, client.targets.names()), as_json)


@app.command()
def fit(
    context: typer.Context,
    supernet: SupernetOption,
    metric: Annotated[
        str, typer.Option(help="latency_ms (with --target) or the supernet's quality, e.g. accuracy.")
    ],
    target: SomeTarget = None,
    kind: Annotated[
        str, typer.Option(help="A kind of predictor; auto compares all of them on held-out rows.")
    ] = "auto",
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Fit a predictor to everything measured so far, and wait."""
    client = client_of(context)
    predictor = client.predictors.fit(supernet, metric=metric, target=target, kind=kind)
    predictor.wait(timeout, not as_json)
    show(predictor.to_dict(), fitted_card(predictor, client.targets.names()), as_json)


@app.command("import")
def import_(
    context: typer.Context,
    supernet: SupernetOption,
    file: Annotated[
        str,
        typer.Option(
            help="In once-for-all's layout: a network (npz or .pth), or a table of operators (YAML)."
        ),
    ],
    metric: Annotated[
        str | None, typer.Option(help="By default the supernet's quality, or latency_ms with --target.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Id or name of the target that a table of operators is of.")
    ] = None,
    on_server: OnServer = False,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Import a predictor that was made elsewhere, calibrate it on the rows of this server, and wait."""
    client = client_of(context)
    predictor = client.predictors.import_file(
        supernet, file, metric=metric, target=target, on_server=on_server
    )
    predictor.wait(timeout, not as_json)
    show(predictor.to_dict(), fitted_card(predictor, client.targets.names()), as_json)


@app.command()
def delete(
    context: typer.Context,
    predictor: Annotated[str, typer.Argument(metavar="PREDICTOR", help="Id of a predictor.")],
    as_json: Json = False,
) -> None:
    """Delete a predictor, or archive it where searches used it."""
    removed = client_of(context).predictors.get(predictor).delete()
    show(removed.to_dict(), removed_card(removed), as_json)


@app.command("show")
def show_(
    context: typer.Context,
    predictor: Annotated[str, typer.Argument(metavar="PREDICTOR", help="Id of a predictor.")],
    plot: Annotated[
        Path | None, typer.Option(help="Save predicted against measured as a PNG file here.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Save the predictor here, for `netwright train --predictor`.")
    ] = None,
    as_json: Json = False,
) -> None:
    """One predictor, with its report card: errors, why this kind, the worst archs, how many rows are enough."""
    client = client_of(context)
    found = client.predictors.get(predictor)
    if plot is not None:
        found.save_plot(plot)
    if save is not None:
        found.save(save)
    show(found.to_dict(), predictor_card(found, client.targets.names()), as_json)
