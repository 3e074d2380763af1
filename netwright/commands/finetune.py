"""``netwright finetune``."""

from __future__ import annotations

from typing import Annotated

import typer

from netwright.client.http.requests import FineTuneOptions
from netwright.client.jobs import DEFAULT_TIMEOUT_S
from netwright.client.subnets import FineTune
from netwright.commands.options import Priority, Seed, toml_values
from netwright.output.printing import Json, Line, Timeout, client_of, show


def finetune(
    context: typer.Context,
    subnet: Annotated[str, typer.Argument(help="Id of a subnet.")],
    data: Annotated[
        str | None,
        typer.Option(
            help="What to train and test on, e.g. folder:PATH or text:PATH inside the server's NETWRIGHT_IMPORT_DIR; "
            "that of the supernet if absent."
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="A recipe, a supernet of the zoo, or a local .toml file; by default finetune, or poa for a task "
            "without labels."
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Replace the recipe's number of steps; fewer shorten its warm-ups too."),
    ] = None,
    seed: Seed = 0,
    priority: Priority = None,
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait for the job.")] = False,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Train one subnet further on your images or texts, and compare its quality before and after on their test split.

    `netwright export SUBNET --finetune ID` then saves it with its new weights.
    """
    options: FineTuneOptions = {"data": data, "steps": steps, "seed": seed, "priority": priority}
    if recipe is not None:
        options["recipe"] = toml_values(recipe, "--recipe") or recipe
    made = client_of(context).finetunes.create(subnet, **options)
    if not detach:
        made.wait(timeout, not as_json)
    show(made.to_dict(), _lines(made), as_json)


def _lines(made: FineTune) -> list[Line]:
    """What came out, or how to wait for it."""
    change = made.change
    if change is None:
        return [Line(f"{made.id} is {made.state}; netwright jobs watch {made.job_id}")]
    found = [
        Line(
            f"{change.metric} {change.before.value:.4f} -> {change.after.value:.4f} ({change.difference:+.4f} ± "
            f"{change.standard_error:.4f}) on {change.n} {change.split} examples"
        )
    ]
    if made.classifier == "new":
        found.append(
            Line(
                "the classes are others than the supernet's: the value before is that of a random classifier"
            )
        )
    return [*found, Line(f"netwright export {made.subnet} --finetune {made.id} --out subnet.onnx")]
