"""``netwright search …``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from netwright.client import Client
from netwright.client.http.requests import Budget, ExtendOptions, SearchOptions, StopRule
from netwright.client.jobs import DEFAULT_TIMEOUT_S
from netwright.client.searches import DEFAULT_EVALUATIONS, Search
from netwright.commands.first_fits import with_predictors
from netwright.commands.options import (
    Label,
    Limits,
    Priority,
    Seed,
    SomeSupernet,
    SomeTarget,
    State,
    SupernetOption,
    Targets,
    constraints,
    pairs,
    value_of,
)
from netwright.output.cards import removed_card
from netwright.output.printing import EXIT_INFEASIBLE, Json, Line, Timeout, client_of, show, show_all
from netwright.output.search_cards import (
    comparison_card,
    profile_card,
    result_card,
    search_card,
    searches_table,
)
from netwright.plot import plot_comparison, plot_history

app = typer.Typer(
    no_args_is_help=True,
    help="Constraints in, a front out: run, extend, compare, profile, list, show, delete.",
)
SearchId = Annotated[str, typer.Argument(metavar="SEARCH", help="Id of a search.")]
Restrict = Annotated[
    list[str] | None,
    typer.Option(help="Only these choices of an axis, e.g. resolution=24,32; may be repeated."),
]
Confidence = Annotated[
    float | None, typer.Option(help="Probability with which a limit must be met; by default 0.95.")
]
StallEvaluations = Annotated[
    int | None,
    typer.Option(
        min=1, help="Stop rule: over this many evaluations; by default a quarter of the budget, at least 32."
    ),
]
StallGain = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="Stop rule: end when the front's hypervolume grew by less than this share of itself; by default 0.001, "
        "0 never ends.",
    ),
]
Seconds = Annotated[float | None, typer.Option(help="Budget: wall time.")]
Images = Annotated[
    int | None, typer.Option(min=1, help="Budget: validation images, counted for each subnet.")
]
Wait = Annotated[bool, typer.Option(help="Wait with a progress bar and print the front.")]


@app.command()
def run(
    context: typer.Context,
    supernet: SupernetOption,
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
        typer.Option(help="A metric to optimise, may be repeated; by default accuracy and latency_ms."),
    ] = None,
    evaluations: Annotated[
        int | None,
        typer.Option(help="Budget: subnets evaluated and measured; by default 24 where no other is given."),
    ] = None,
    images: Images = None,
    seconds: Seconds = None,
    first: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Where a predictor is missing: measure (or evaluate) this many subnets first, and fit it to them. "
            "Without it such a search is refused.",
        ),
    ] = None,
    restrict: Restrict = None,
    confidence: Confidence = None,
    algorithm: Annotated[
        str | None, typer.Option(help="Name of a search algorithm; by default surrogate.")
    ] = None,
    predictor: Annotated[
        list[str] | None,
        typer.Option(help="Id of a predictor to use in place of the newest; may be repeated."),
    ] = None,
    stall_evaluations: StallEvaluations = None,
    stall_gain: StallGain = None,
    elsewhere: Annotated[
        bool,
        typer.Option(help="Whether evaluations of the same space by other supernets are a prior of quality."),
    ] = True,
    first_images: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="On how many validation images a subnet is evaluated first; 0: on all. By default a fifth where "
            "there are more than 1,000.",
        ),
    ] = None,
    seed: Seed = 0,
    label: Label = None,
    priority: Priority = None,
    wait: Wait = True,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Search the best subnets under limits. Exit status 3: the limits cannot be met."""
    client = client_of(context)
    options = SearchOptions(
        objectives=objective,
        restrict=_restrictions(restrict),
        confidence=confidence,
        algorithm=algorithm,
        front=front,
        predictors=predictor,
        stall=_stall(stall_evaluations, stall_gain),
        elsewhere=elsewhere,
        first_images=first_images,
        seed=seed,
        labels=pairs(label, "--label", "team=vision"),
        priority=priority,
    )
    limits = constraints(client, limit)

    def create() -> Search:
        return client.searches.create(
            supernet,
            targets=target or [],
            constraints=limits,
            budget=_budget(evaluations, images, seconds),
            **options,
        )

    search = with_predictors(client, supernet, first, timeout, not as_json, create)
    _finish(client, search, wait, timeout, as_json)


def _budget(evaluations: int | None, images: int | None, seconds: float | None) -> Budget:
    """What was given; the default where nothing was."""
    budget: Budget = {}
    if evaluations is not None or (images is None and seconds is None):
        budget["evaluations"] = DEFAULT_EVALUATIONS if evaluations is None else evaluations
    if images is not None:
        budget["images"] = images
    if seconds is not None:
        budget["seconds"] = seconds
    return budget


def _stall(evaluations: int | None, gain: float | None) -> StopRule | None:
    rule: StopRule = {}
    if evaluations is not None:
        rule["evaluations"] = evaluations
    if gain is not None:
        rule["gain"] = gain
    return rule or None


def _finish(client: Client, search: Search, wait: bool, timeout: float, as_json: bool) -> None:
    """Wait for a search and print its front, or where to find it."""
    if not wait:
        line = Line(f"search {search.id} is {search.state}; netwright search show {search.id}")
        show(search.to_dict(), [line], as_json)
        return
    if not as_json:
        typer.echo(f"search {search.id}", err=True)
    search.wait(timeout, not as_json)
    answer = {"search": search.to_dict(), "front": search.front().to_dict()} if as_json else None
    show(answer, result_card(search, client.targets.names()), as_json)
    if search.feasible is False:
        raise typer.Exit(EXIT_INFEASIBLE)


@app.command()
def extend(
    context: typer.Context,
    search: SearchId,
    evaluations: Annotated[
        int, typer.Option(min=0, help="Evaluations to add; with 0 the existing results are judged again.")
    ] = 0,
    limit: Limits = None,
    no_limits: Annotated[bool, typer.Option("--no-limits", help="Drop the old limits.")] = False,
    objective: Annotated[list[str] | None, typer.Option(help="A metric to optimise instead.")] = None,
    images: Annotated[int | None, typer.Option(min=1, help="Validation images to add.")] = None,
    seconds: Seconds = None,
    confidence: Confidence = None,
    algorithm: Annotated[str | None, typer.Option(help="Name of another search algorithm.")] = None,
    stall_evaluations: StallEvaluations = None,
    stall_gain: StallGain = None,
    seed: Annotated[int | None, typer.Option(min=0, help="By default another than before.")] = None,
    label: Label = None,
    priority: Priority = None,
    wait: Wait = True,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Continue a search with more budget or other limits (they replace the old ones); nothing is evaluated again.

    Exit status 3: the limits cannot be met.
    """
    client = client_of(context)
    before = client.searches.get(search)
    limits = constraints(client, limit)
    options = ExtendOptions(
        evaluations=evaluations,
        objectives=objective,
        images=images,
        seconds=seconds,
        confidence=confidence,
        algorithm=algorithm,
        stall=_stall(stall_evaluations, stall_gain),
        seed=seed,
        labels=pairs(label, "--label", "team=vision") or None,
        priority=priority,
    )
    found = before.extend(constraints=limits if limits or no_limits else None, **options)
    _finish(client, found, wait, timeout, as_json)


def _restrictions(texts: Sequence[str] | None) -> dict[str, list[float | str]]:
    found = pairs(texts, "--restrict", "resolution=24,32")
    return {axis: [value_of(choice) for choice in choices.split(",")] for axis, choices in found.items()}


@app.command()
def profile(
    context: typer.Context,
    supernet: SupernetOption,
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
        constraints=constraints(client, limit),
        restrict=_restrictions(restrict),
        confidence=confidence,
    )
    show(found.to_dict(), profile_card(found, client.targets.names()), as_json)


@app.command("list")
def list_(
    context: typer.Context,
    supernet: SomeSupernet = None,
    state: State = None,
    label: Label = None,
    as_json: Json = False,
) -> None:
    """All searches, newest first."""
    client = client_of(context)
    labels = pairs(label, "--label", "team=vision")
    searches = client.searches.list(supernet=supernet, state=state, labels=labels)
    show_all(searches, [searches_table(searches, client.targets.names(), client.supernets.names())], as_json)


@app.command()
def delete(context: typer.Context, search: SearchId, as_json: Json = False) -> None:
    """Delete a search and its front, or archive it where another search extends it; measurements are kept."""
    removed = client_of(context).searches.get(search).delete()
    show(removed.to_dict(), removed_card(removed), as_json)


@app.command()
def compare(
    context: typer.Context,
    searches: Annotated[
        list[str],
        typer.Argument(metavar="SEARCH...", help="Ids of two or more searches; the first is the base."),
    ],
    target: SomeTarget = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="Save the fronts as a picture (PNG) here; stars are subnets that the base does not have."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Fronts of searches of one supernet and the same targets side by side: hypervolume, and which points are new."""
    client = client_of(context)
    found = client.searches.compare(*searches, target=target)
    if plot is not None:
        plot_comparison(found, plot)
    show(found.to_dict(), comparison_card(found), as_json)


@app.command("show")
def show_(
    context: typer.Context,
    search: SearchId,
    plot: Annotated[
        Path | None, typer.Option(help="Save how the hypervolume grew as a picture (PNG) here.")
    ] = None,
    as_json: Json = False,
) -> None:
    """One search: its state, whether its limits could be met, how its front grew, warnings, provenance."""
    client = client_of(context)
    found = client.searches.get(search)
    if plot is not None:
        plot_history(found, plot)
    show(found.to_dict(), search_card(found, client.targets.names(), client.supernets.names()), as_json)
