"""``netwright predictors …``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from netwright.client import Client
from netwright.commands.cards import figure, print_card, say
from netwright.commands.output import Json, Timeout, cell, client_of, print_json, print_table, stdout
from netwright.commands.points import target_names
from netwright.resources.jobs import DEFAULT_TIMEOUT_S
from netwright.resources.predictors import Predictor

SIDE_BY_SIDE = {
    "spearman": "Spearman",
    "mape": "mean error",
    "median_ape": "median",
    "bias": "bias",
    "coverage90": "covers",
    "width90": "width",
}
SIDE_BY_SIDE_WIDTH = 130  # columns that a table of all figures takes
app = typer.Typer(no_args_is_help=True, help="Predictors and their report cards: list, fit, import, show.")


@app.command("list")
def list_(
    context: typer.Context,
    supernet: Annotated[str | None, typer.Option(help="Id or name of a supernet.")] = None,
    target: Annotated[str | None, typer.Option(help="Id or name of a target.")] = None,
    metric: Annotated[str | None, typer.Option(help="Name of a metric.")] = None,
    as_json: Json = False,
) -> None:
    """All predictors."""
    client = client_of(context)
    of_supernet = client.supernets.get(supernet).id if supernet else None
    of_target = client.targets.get(target).id if target else None
    rows = list(client.predictors.list(supernet=of_supernet, target=of_target, metric=metric))
    print_json([row.data for row in rows]) if as_json else print_predictors(rows, target_names(client))


@app.command()
def fit(
    context: typer.Context,
    supernet: Annotated[str, typer.Option(help="Id or name of a supernet.")],
    metric: Annotated[
        str, typer.Option(help="latency_ms (with --target) or the supernet's quality, e.g. accuracy.")
    ],
    target: Annotated[str | None, typer.Option(help="Id or name of a target.")] = None,
    kind: Annotated[
        str, typer.Option(help="Name of a kind of predictor; auto compares all of them on held-out rows.")
    ] = "auto",
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Fit a predictor to everything measured so far, and wait."""
    client = client_of(context)
    predictor = client.predictors.fit(supernet, metric=metric, target=target, kind=kind)
    predictor.wait(timeout, not as_json)
    _print_fitted(client, predictor, as_json)


@app.command("import")
def import_(
    context: typer.Context,
    supernet: Annotated[str, typer.Option(help="Id or name of a supernet.")],
    file: Annotated[
        str,
        typer.Option(
            help="In once-for-all's layout: a network (npz or .pth), or a table of operators (YAML)."
        ),
    ],
    metric: Annotated[
        str | None, typer.Option(help="The supernet's quality if not given, latency_ms with --target.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Id or name of the target that a table of operators is of.")
    ] = None,
    on_server: Annotated[
        bool, typer.Option("--on-server", help="The file lies in the server's import folder.")
    ] = False,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Import a predictor that was made elsewhere, fit it to what is evaluated or measured here, and wait."""
    client = client_of(context)
    predictor = client.predictors.bring(supernet, file, metric=metric, target=target, on_server=on_server)
    predictor.wait(timeout, not as_json)
    _print_fitted(client, predictor, as_json)


def _print_fitted(client: Client, predictor: Predictor, as_json: bool) -> None:
    """One line of figures, why this kind, and where to read more."""
    if as_json:
        print_json(predictor.data)
        return
    print_predictors([predictor], target_names(client))
    choice = (predictor["report"] or {}).get("choice") or {}
    if choice.get("reason"):
        say(choice["reason"])
    say(f"netwright predictors show {predictor.id} has the worst archs and the learning curve")


@app.command()
def show(
    context: typer.Context,
    predictor: Annotated[str, typer.Argument(help="Id of a predictor.")],
    plot: Annotated[
        Path | None, typer.Option(help="Save predicted against measured as a PNG file here.")
    ] = None,
    as_json: Json = False,
) -> None:
    """One predictor, with its report card: errors, why this kind, the worst archs, how many rows are enough."""
    found = client_of(context).predictors.get(predictor)
    if plot is not None:
        found.save_plot(plot)
    print_json(found.data) if as_json else print_card(found)


def print_predictors(rows: Iterable[Predictor], names: Mapping[str, str] | None = None) -> None:
    """Report cards side by side, or one below the other on a narrow terminal; ``names`` of targets by id."""
    rows, names = list(rows), names or {}
    if rows and stdout().width < SIDE_BY_SIDE_WIDTH:
        for row in rows:
            _print_lines(row, names)
        return
    table = []
    for row in rows:
        card = row["report"] or {}
        table.append(
            (
                row.id,
                row["metric"],
                names.get(row.data.get("target") or "", row.data.get("target")),
                row["kind"],
                row["state"],
                row["rows"],
                "yes" if row.data.get("stale") else None,
                *[figure(card, name) if card.get(name) is not None else None for name in SIDE_BY_SIDE],
            )
        )
    heads = SIDE_BY_SIDE.values()
    print_table(("id", "metric", "target", "kind", "state", "rows", "stale", *heads), table)


def _print_lines(row: Predictor, names: Mapping[str, str]) -> None:
    target, card = row.data.get("target"), row["report"] or {}
    on = f" on {names.get(target, target)}" if target else ""
    state = "" if row["state"] == "succeeded" else f", {row['state']}"
    stale = ", stale" if row.data.get("stale") else ""
    say(f"{row.id}  {row['metric']}{on}: {row['kind']}, {row['rows']} rows{state}{stale}")
    known = {label: name for name, label in SIDE_BY_SIDE.items() if card.get(name) is not None}
    if known:
        say("  " + ", ".join(f"{label} {cell(figure(card, name))}" for label, name in known.items()))
