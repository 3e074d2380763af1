"""``netwright supernets train``: a training on the server."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from netwright.commands.output import Json, Timeout, client_of, number, print_fields, print_json
from netwright.commands.supernet_card import print_supernet
from netwright.errors import NetwrightError
from netwright.resources.jobs import DEFAULT_TIMEOUT_S

DEFAULT_KIND = "mobilenet_v3"
OF_DATA = ("num_classes", "image_channels")
"""Settings of a family's file that the server takes from the data instead, as ``netwright train`` does."""


def train(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the new supernet.")],
    data: Annotated[
        str | None,
        typer.Option(
            help="digits, fashion_mnist, cifar10, hub:NAME; folder:PATH, parquet:PATH or stream:PATH inside the "
            "server's NETWRIGHT_IMPORT_DIR; or that of --from."
        ),
    ] = None,
    family: Annotated[
        str | None,
        typer.Option(
            help="A .toml file here that sizes the family, or a supernet of the zoo; or that of --from."
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Name of a recipe or of a supernet of the zoo, or a .toml file here; sandwich if not given."
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Replace the recipe's number of steps.")] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Seed of every random draw: 0, or with --from that of the last stage + 1."),
    ] = None,
    source: Annotated[
        str | None, typer.Option("--from", help="Train this supernet further: its id or name.")
    ] = None,
    teacher: Annotated[
        str | None, typer.Option(help="Learn from the largest net of this supernet: its id or name.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would take.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait for the job.")] = False,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Train a supernet on the server, and wait with a progress bar."""
    client = client_of(context)
    asked: dict[str, Any] = {
        "data": data,
        "family": _family(family),
        "recipe": _file(recipe, "--recipe") or recipe,
        "steps": steps,
        "seed": seed,
        "source": source,
        "teacher": teacher,
    }
    if dry_run:
        told = client.trainings.estimate(name, **asked)
        print_json(told) if as_json else _print_estimate(told)
        return
    job = client.trainings.create(name, **asked)
    if detach:
        print_json(job.data) if as_json else typer.echo(
            f"{job.id} is {job.state}; netwright jobs watch {job.id}"
        )
        return
    job.wait(timeout, not as_json)
    supernet = client.supernets.get(job["resource"]["id"])
    print_json({"job": job.data, "supernet": supernet.data}) if as_json else print_supernet(supernet.data)


def _family(text: str | None) -> str | dict[str, Any] | None:
    values = _file(text, "--family")
    if values is None:
        return text
    sized = {key: value for key, value in values.items() if key not in OF_DATA}
    return {"family": DEFAULT_KIND, **sized}


def _file(text: str | None, option: str) -> dict[str, Any] | None:
    """The values of a TOML file; none where something else is named."""
    if text is None or not text.endswith(".toml"):
        return None
    try:
        return tomllib.loads(Path(text).read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise NetwrightError(f"{option} must be a name or a TOML file, got {text}: {error}") from error


def _print_estimate(told: Mapping[str, Any]) -> None:
    """As ``netwright train --dry-run`` does, but for what takes real steps."""
    params, macs = told["params"], told["macs"]
    images, memory = told["train_images"], told["memory_mb"]
    known = f"{number(images)} training images, {told['classes']} classes" if images else "known once loaded"
    networks = f", in the end {told['networks']} networks" if told["networks"] > 1 else ""
    print_fields(
        {
            "data": f"{told['data']}: {known}",
            "space": f"{told['subnets']:.3g} subnets, {params[0]:,.0f} to {params[1]:,.0f} parameters, "
            f"{macs[0] / 1e6:.3g} to {macs[1] / 1e6:.3g} million MACs",
            "recipe": f"{told['recipe']}: {told['steps']} steps of {told['batch_size']} images, seed {told['seed']}",
            "cost": f"{told['billed']:,.0f} subnet passes, {told['macs_per_step'] / 1e9:.3g} billion MACs a step "
            f"on average{networks}",
            "memory": f"about {memory:,.0f} MB for weights, gradients, activations and images"
            if memory is not None
            else "not known before the data are loaded",
        }
    )
