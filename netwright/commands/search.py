"""``netwright search …``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from netwright.client import Client
from netwright.commands.front import print_front
from netwright.commands.output import (
    EXIT_INFEASIBLE,
    Json,
    Timeout,
    cell,
    client_of,
    moment,
    print_fields,
    print_json,
    print_table,
)
from netwright.constraints import parse_limit
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
    typer.Option("--limit", "-l", help="latency_ms=20, 'macs<=5e6', 'accuracy>=0.9'; may be repeated."),
]
Restrict = Annotated[
    list[str] | None,
    typer.Option(help="Only these choices of an axis, e.g. resolution=24,32; may be repeated."),
]
Confidence = Annotated[
    float | None, typer.Option(help="Probability with which a limit must hold; 0.95 if not given.")
]


SUMMARY = ("id", "state", "feasible", "points", "evaluations", "limits", "created")


@app.command()
def run(
    context: typer.Context,
    supernet: Supernet,
    target: Targets = None,
    limit: Limits = None,
    objective: Annotated[
        list[str] | None, typer.Option(help="A metric to optimise; accuracy and latency_ms if not given.")
    ] = None,
    evaluations: Annotated[
        int, typer.Option(help="Budget: subnets truly evaluated and measured.")
    ] = DEFAULT_EVALUATIONS,
    seconds: Annotated[float | None, typer.Option(help="Budget: wall time.")] = None,
    restrict: Restrict = None,
    confidence: Confidence = None,
    algorithm: Annotated[str | None, typer.Option(help="Name of a search algorithm.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random draw.")] = 0,
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
        seed=seed,
    )
    _finish(search, wait, timeout, as_json)


def _finish(search: Search, wait: bool, timeout: float, as_json: bool) -> None:
    """Wait for a search and print its front, or say where to look for it."""
    if not wait:
        print_json(search.data) if as_json else typer.echo(
            f"{search.id} is {search.state}; netwright search show {search.id}"
        )
        return
    search.wait(timeout, not as_json)
    _print_result(search, as_json)
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
    )
    _finish(found, wait, timeout, as_json)


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


def _print_result(search: Search, as_json: bool) -> None:
    front = search.front()
    if as_json:
        print_json({"search": search.data, "front": front.data})
        return
    for warning in search["warnings"]:
        typer.echo(f"warning: {warning}")
    if search.feasible is False:
        typer.echo(f"The limits cannot be met. {_nearest(search)}")
        return
    print_front(front)


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
    columns = ("metric", "unit", "smallest", "centroid", "largest", "best", "worst", "source")
    print_table(columns, [[row[column] for column in columns] for row in found["metrics"]])
    typer.echo(
        f"satisfiable: {cell(found['satisfiable'])}, by {cell(found['share'])} of {found['sampled']} sampled subnets"
    )
    for unmet in found["unmet"]:
        typer.echo(f"cannot be met: {cell(unmet)}")
    for action in found["missing"]:
        typer.echo(f"missing: {action['method']} {action['path']} {cell(action['body'])}")


@app.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """All searches, newest first."""
    rows = list(client_of(context).searches.list())
    if as_json:
        print_json([row.data for row in rows])
        return
    print_table(SUMMARY, [_summary(row) for row in rows])


def _summary(search: Search) -> list[Any]:
    spent = f"{search['evaluations']['done']}/{search['evaluations']['budget']}"
    if search["evaluations"].get("reused"):
        spent += f" + {search['evaluations']['reused']} reused"
    limits = [
        f"{row['metric']} {sign} {cell(row[side])}"
        for row in search["constraints"]
        for side, sign in (("min", ">="), ("max", "<="))
        if row.get(side) is not None
    ]
    created = moment(search["created_at"])
    return [search.id, search.state, search.feasible, search["points"], spent, ", ".join(limits), created]


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
    found = client_of(context).searches.get(search)
    if plot is not None:
        plot_history(found.data, plot)
    if as_json:
        print_json(found.data)
        return
    print_fields(dict(zip(SUMMARY, _summary(found), strict=True)))
    print_fields(
        found.data,
        (
            "supernet",
            "targets",
            "objectives",
            "restrict",
            "confidence",
            "algorithm",
            "seed",
            "labels",
            "extends",
            "job",
        ),
    )
    _print_history(found)
    for warning in found["warnings"]:
        typer.echo(f"warning: {warning}")
    if found["nearest"]:
        typer.echo(_nearest(found))


def _print_history(search: Search) -> None:
    """How the hypervolume grew; its unit is the product of the objectives' units."""
    rows = [
        [row["target"], row["evaluations"], row["seconds"], row["hypervolume"]]
        for row in search.data.get("history", [])
    ]
    if not rows:
        return
    reference = ", ".join(
        f"{row['metric']} {cell(row['value'])}"
        for row in search["reference_point"]
        if row["target"] == rows[0][0]
    )
    typer.echo(f"hypervolume of the front, up to {reference}")
    print_table(("target", "evaluations", "seconds", "hypervolume"), rows)


def _nearest(search: Search) -> str:
    """The subnet that misses the limits least, and by how much."""
    nearest = search["nearest"]
    if not nearest:
        return "Nothing was measured that comes near."
    misses = [
        f"{miss['metric']} {cell(miss['value'])} where {'<=' if miss['max'] is not None else '>='} "
        f"{cell(miss['max'] if miss['max'] is not None else miss['min'])} was asked"
        for miss in nearest["violations"]
    ]
    return f"The nearest subnet is {nearest['subnet']}: {'; '.join(misses)}"
