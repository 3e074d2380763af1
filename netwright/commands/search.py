"""``netwright search …``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from netwright.client import Client
from netwright.commands.hints import as_command
from netwright.commands.output import (
    EXIT_INFEASIBLE,
    Json,
    Timeout,
    client_of,
    print_json,
    print_table,
)
from netwright.commands.points import target_names
from netwright.commands.search_view import COLUMNS, print_result, print_search, share_of, summary, unmet_limit
from netwright.constraints import parse_limit
from netwright.errors import request_of
from netwright.plot import plot_history
from netwright.resources.jobs import DEFAULT_TIMEOUT_S
from netwright.resources.searches import DEFAULT_EVALUATIONS, Search

app = typer.Typer(no_args_is_help=True, help="Constraints in, a front out: run, extend, profile, list, show.")
Supernet = Annotated[str, typer.Option(help="Id or name of a supernet.")]
Targets = Annotated[
    list[str] | None, typer.Option("--target", help="Id or name of a target; may be repeated.")
]
Limits = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        "-l",
        help="latency_ms=20, 'macs<=5e6', 'accuracy>=0.9', of one target 'latency_ms@NAME=20'; may be repeated.",
    ),
]
Restrict = Annotated[
    list[str] | None,
    typer.Option(help="Only these choices of an axis, e.g. resolution=24,32; may be repeated."),
]
Confidence = Annotated[
    float | None, typer.Option(help="Probability with which a limit must hold; 0.95 if not given.")
]


Label = Annotated[
    list[str] | None, typer.Option(help="A label to find it by, e.g. team=vision; may be repeated.")
]
StallEvaluations = Annotated[
    int | None,
    typer.Option(
        min=1, help="Stop rule: over so many evaluations; a quarter of the budget, at least 32, if not given."
    ),
]
StallGain = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="Stop rule: end when the front's hypervolume grew by less than this share of itself; 0.001 if not "
        "given, 0 never ends.",
    ),
]
Algorithm = Annotated[str | None, typer.Option(help="Name of a search algorithm; surrogate if not given.")]


@app.command()
def run(
    context: typer.Context,
    supernet: Supernet,
    target: Targets = None,
    front: Annotated[
        str | None,
        typer.Option(
            help="With several targets: shared (one front, a subnet counts by its worst target; the default) or "
            "per_target (a front for each, from one budget)."
        ),
    ] = None,
    limit: Limits = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(help="A metric to optimise, may be repeated; accuracy and latency_ms if not given."),
    ] = None,
    evaluations: Annotated[
        int, typer.Option(help="Budget: subnets truly evaluated and measured.")
    ] = DEFAULT_EVALUATIONS,
    seconds: Annotated[float | None, typer.Option(help="Budget: wall time.")] = None,
    restrict: Restrict = None,
    confidence: Confidence = None,
    algorithm: Algorithm = None,
    predictor: Annotated[
        list[str] | None,
        typer.Option(help="Id of a predictor to use in place of the newest; may be repeated."),
    ] = None,
    stall_evaluations: StallEvaluations = None,
    stall_gain: StallGain = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random draw.")] = 0,
    label: Label = None,
    wait: Annotated[bool, typer.Option(help="Wait with a progress bar and print the front.")] = True,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Search the best subnets under limits. Exit status 3: the limits cannot be met."""
    client = client_of(context)
    search = client.searches.create(
        supernet,
        targets=target or [],
        constraints=_limits(client, supernet, limit),
        objectives=objective,
        budget={"evaluations": evaluations, **({"seconds": seconds} if seconds is not None else {})},
        restrict=_restrictions(restrict),
        confidence=confidence,
        algorithm=algorithm,
        front=front,
        predictors=predictor,
        stall=_stall(stall_evaluations, stall_gain),
        seed=seed,
        labels=_labels(label),
    )
    _finish(client, search, wait, timeout, as_json)


def _stall(evaluations: int | None, gain: float | None) -> dict[str, Any] | None:
    rule = {"evaluations": evaluations, "gain": gain}
    given = {name: value for name, value in rule.items() if value is not None}
    return given or None


def _labels(texts: Sequence[str] | None) -> dict[str, str] | None:
    labels = {}
    for text in texts or []:
        name, found, value = text.partition("=")
        if not found or not name:
            raise typer.BadParameter(
                f"a label must look like team=vision, got {text!r}", param_hint="--label"
            )
        labels[name] = value
    return labels or None


def _finish(client: Client, search: Search, wait: bool, timeout: float, as_json: bool) -> None:
    """Wait for a search and print its front, or say where to look for it."""
    if not wait:
        print_json(search.data) if as_json else typer.echo(
            f"{search.id} is {search.state}; netwright search show {search.id}"
        )
        return
    search.wait(timeout, not as_json)
    print_result(client, search, as_json)
    if search.feasible is False:
        raise typer.Exit(EXIT_INFEASIBLE)


@app.command()
def extend(
    context: typer.Context,
    search: Annotated[str, typer.Argument(help="Id of a search that has ended.")],
    evaluations: Annotated[
        int, typer.Option(min=0, help="Evaluations to add; with 0 what is known is judged anew.")
    ] = 0,
    limit: Annotated[
        list[str] | None,
        typer.Option("--limit", "-l", help="Limits that replace the old ones; may be repeated."),
    ] = None,
    latency_ms: Annotated[float | None, typer.Option(help="Short for --limit latency_ms=…")] = None,
    no_limits: Annotated[bool, typer.Option("--no-limits", help="Without the old limits.")] = False,
    objective: Annotated[list[str] | None, typer.Option(help="A metric to optimise instead.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Budget: wall time.")] = None,
    confidence: Confidence = None,
    algorithm: Annotated[str | None, typer.Option(help="Name of another search algorithm.")] = None,
    stall_evaluations: StallEvaluations = None,
    stall_gain: StallGain = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Another than before if not given.")] = None,
    label: Label = None,
    wait: Annotated[bool, typer.Option(help="Wait with a progress bar and print the front.")] = True,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Go on from a search with more budget or other limits; nothing is evaluated again. Exit status 3 as in run."""
    client = client_of(context)
    texts = [*(limit or []), *([f"latency_ms={latency_ms}"] if latency_ms is not None else [])]
    quality = ""
    if texts:
        quality = client.supernets.get(client.searches.get(search)["supernet"])["quality"]
    limits = [parse_limit(text, quality=quality) for text in texts]
    found = client.searches.extend(
        search,
        evaluations=evaluations,
        constraints=limits if limits or no_limits else None,
        objectives=objective,
        seconds=seconds,
        confidence=confidence,
        algorithm=algorithm,
        stall=_stall(stall_evaluations, stall_gain),
        seed=seed,
        labels=_labels(label),
    )
    _finish(client, found, wait, timeout, as_json)


def _limits(client: Client, supernet: str, limits: Sequence[str] | None) -> list[dict[str, Any]]:
    quality = client.supernets.get(supernet)["quality"] if limits else ""
    return [parse_limit(text, quality=quality) for text in limits or []]


def _restrictions(texts: Sequence[str] | None) -> dict[str, list[Any]]:
    restrictions = {}
    for text in texts or []:
        axis, found, choices = text.partition("=")
        if not found or not choices:
            raise typer.BadParameter(
                f"a restriction must look like resolution=24,32, got {text!r}", param_hint="--restrict"
            )
        restrictions[axis] = [_choice(choice) for choice in choices.split(",")]
    return restrictions


def _choice(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


@app.command()
def profile(
    context: typer.Context,
    supernet: Supernet,
    target: Targets = None,
    limit: Limits = None,
    restrict: Restrict = None,
    confidence: Confidence = None,
    as_json: Json = False,
) -> None:
    """The range of every metric, and whether the limits can be met; answers at once."""
    client = client_of(context)
    found = client.searches.profile(
        supernet,
        targets=target or [],
        constraints=_limits(client, supernet, limit),
        restrict=_restrictions(restrict),
        confidence=confidence,
    )
    if as_json:
        print_json(found)
        return
    names = target_names(client)
    columns = ("metric", "target", "unit", "smallest", "centroid", "largest", "best", "worst", "source")
    rows = [{**row, "target": names.get(row["target"], row["target"])} for row in found["metrics"]]
    print_table(columns, [[row[column] for column in columns] for row in rows])
    typer.echo(share_of(found))
    for unmet in found["unmet"]:
        typer.echo(f"cannot be met: {unmet_limit(unmet, names)}")
    for action in found["missing"]:
        typer.echo(f"missing: {as_command(request_of(action))}")


@app.command("list")
def list_(
    context: typer.Context,
    supernet: Annotated[str | None, typer.Option(help="Id or name of a supernet.")] = None,
    state: Annotated[
        str | None, typer.Option(help="queued, running, succeeded, failed, cancelling, cancelled.")
    ] = None,
    label: Label = None,
    as_json: Json = False,
) -> None:
    """All searches, newest first."""
    client = client_of(context)
    of = client.supernets.get(supernet).id if supernet else None
    rows = list(client.searches.list(supernet=of, state=state, labels=_labels(label)))
    if as_json:
        print_json([row.data for row in rows])
        return
    names = target_names(client)
    print_table(COLUMNS, [summary(row, names) for row in rows])


@app.command()
def show(
    context: typer.Context,
    search: Annotated[str, typer.Argument(help="Id of a search.")],
    plot: Annotated[
        Path | None, typer.Option(help="Save how the hypervolume grew as a picture (PNG) here.")
    ] = None,
    as_json: Json = False,
) -> None:
    """One search: its state, whether its limits could be met, how its front grew, warnings, provenance."""
    client = client_of(context)
    found = client.searches.get(search)
    if plot is not None:
        plot_history(found.data, plot)
    print_json(found.data) if as_json else print_search(found, target_names(client))
