"""``netwright supernets …``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netwright.client.http.models import Object
from netwright.client.http.requests import ConversionOptions, ExamineOptions, TrainingOptions
from netwright.client.jobs import DEFAULT_TIMEOUT_S
from netwright.commands.options import (
    DEFAULT_MULTIPLE,
    DEFAULT_WIDTHS,
    Approximate,
    Multiple,
    PixelDeviation,
    PixelMean,
    QualityOutput,
    Seed,
    SkipBranches,
    SupernetArgument,
    Widths,
    numbers,
    toml_values,
)
from netwright.output.cards import estimate_card, job_card, removed_card, supernet_card, supernets_table
from netwright.output.found_card import found_sections
from netwright.output.printing import Json, Line, Table, Timeout, client_of, show, show_all

app = typer.Typer(
    no_args_is_help=True, help="Supernets: list, add, import, convert, update, train, show, evaluate."
)
DEFAULT_FAMILY = "mobilenet_v3"
OF_DATA = ("num_classes", "image_channels")
"""Settings in a family's file that the server takes from the data, as ``netwright train`` does."""


@app.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """All supernets."""
    supernets = client_of(context).supernets.list()
    show_all(supernets, [supernets_table(supernets)], as_json)


@app.command()
def add(
    context: typer.Context,
    zoo: Annotated[str | None, typer.Argument(help="Name of a supernet of the zoo, e.g. digits.")] = None,
    path: Annotated[
        str | None, typer.Option(help="A supernet directory inside the server's NETWRIGHT_IMPORT_DIR.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Your own name for it.")] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Where its images are now, e.g. folder:PATH inside the server's NETWRIGHT_IMPORT_DIR."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Register a supernet: one of the zoo, or a directory on the server."""
    supernet = client_of(context).supernets.add(zoo, path=path, name=name, data=data)
    show(supernet.to_dict(), supernet_card(supernet), as_json)


@app.command("import")
def import_(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(help="Name of the supernet, e.g. ofa_mbv3_d234_e346_k357_w1.0.")],
    file: Annotated[str, typer.Argument(help="The file, inside the server's NETWRIGHT_IMPORT_DIR.")],
    data: Annotated[
        str,
        typer.Option(help="ImageNet images inside the server's NETWRIGHT_IMPORT_DIR, e.g. folder:imagenet."),
    ],
    name: Annotated[str | None, typer.Option(help="Your own name for it.")] = None,
    as_json: Json = False,
) -> None:
    """Register a supernet that once-for-all released, from the file that its authors published."""
    supernet = client_of(context).supernets.import_official(kind, file, data=data, name=name)
    show(supernet.to_dict(), supernet_card(supernet), as_json)


@app.command()
def convert(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="A .pt2 file of torch.export.save of your network.")],
    data: Annotated[
        str,
        typer.Option(
            help="What it was trained on: digits, cifar10, hub:NAME, or folder:PATH or parquet:PATH inside the "
            "server's NETWRIGHT_IMPORT_DIR."
        ),
    ],
    name: Annotated[str | None, typer.Option(help="Name of the supernet; the file's if not given.")] = None,
    quality: Annotated[
        str | None, typer.Option(help="The quality metric, e.g. accuracy: it stands for its task.")
    ] = None,
    output: QualityOutput = None,
    mean: PixelMean = None,
    std: PixelDeviation = None,
    widths: Widths = DEFAULT_WIDTHS,
    multiple: Multiple = DEFAULT_MULTIPLE,
    skip: SkipBranches = False,
    approximate: Approximate = False,
    no_training: Annotated[
        bool, typer.Option("--no-training", help="Slices of the original with recalibrated statistics.")
    ] = False,
    recipe: Annotated[
        str | None,
        typer.Option(help="A recipe or a local .toml file; by default the original teaches its subnets."),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Replace the recipe's number of steps.")] = None,
    seed: Seed = 0,
    on_server: Annotated[
        bool, typer.Option("--on-server", help="FILE lies inside the server's NETWRIGHT_IMPORT_DIR.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what was found, convert nothing.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait for the job.")] = False,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Make a supernet of a trained network of your own: show what was found, train it, and wait."""
    client = client_of(context)
    how: ExamineOptions = {
        "data": data,
        "quality": quality,
        "output": output,
        "widths": numbers(widths, "--widths"),
        "multiple": multiple,
        "skip": skip,
        "approximate": approximate,
    }
    if mean is not None or std is not None:
        how["expects"] = {"mean": numbers(mean or "", "--mean"), "std": numbers(std or "", "--std")}
    found = client.conversions.examine(file, on_server=on_server, **how)
    if dry_run or not as_json:
        show(found.to_dict(), found_sections(found.to_dict()), as_json)
    if dry_run:
        return
    options: ConversionOptions = {
        **how,
        "training": not no_training,
        "recipe": toml_values(recipe, "--recipe") or recipe,
        "steps": steps,
        "seed": seed,
    }
    called = name or Path(file).stem
    job = client.conversions.create(called, file, on_server=on_server, **options)
    if detach:
        show(job.to_dict(), [Line(f"{job.id} is {job.state}; netwright jobs watch {job.id}")], as_json)
        return
    job.wait(timeout, not as_json)
    supernet = client.supernets.get(job.resource.id if job.resource else called)
    answer = {"found": found.to_dict(), "job": job.to_dict(), "supernet": supernet.to_dict()}
    show(answer, supernet_card(supernet), as_json)


@app.command()
def update(
    context: typer.Context,
    supernet: SupernetArgument,
    data: Annotated[
        str | None,
        typer.Option(
            help="Where its images are now, e.g. folder:PATH inside the server's NETWRIGHT_IMPORT_DIR."
        ),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(help="Licence of its weights, e.g. MIT; files that are exported from now on state it."),
    ] = None,
    as_json: Json = False,
) -> None:
    """State the licence of a supernet, or where its images are now; they must be those that it was trained on."""
    changed = client_of(context).supernets.get(supernet).update(data=data, licence=licence)
    show(changed.to_dict(), supernet_card(changed), as_json)


@app.command()
def delete(context: typer.Context, supernet: SupernetArgument, as_json: Json = False) -> None:
    """Delete a supernet, or archive it where other resources refer to it."""
    removed = client_of(context).supernets.get(supernet).delete()
    show(removed.to_dict(), removed_card(removed), as_json)


@app.command("show")
def show_(context: typer.Context, supernet: SupernetArgument, as_json: Json = False) -> None:
    """One supernet, with its report card."""
    found = client_of(context).supernets.get(supernet)
    show(found.to_dict(), supernet_card(found), as_json)


@app.command()
def space(context: typer.Context, supernet: SupernetArgument, as_json: Json = False) -> None:
    """The axes and choices of a supernet."""
    found = client_of(context).supernets.get(supernet).space()
    rows = [(axis.name, axis.kind, " ".join(map(str, axis.choices)), axis.parent) for axis in found.axes]
    table = Table(("axis", "kind", "choices", "parent"), rows, f"{found.size:.4g} subnets")
    show(found.to_dict(), [table], as_json)


@app.command()
def evaluate(
    context: typer.Context,
    supernet: SupernetArgument,
    count: Annotated[int, typer.Option(min=1, help="How many subnets, spread over the space.")] = 100,
    seed: Seed = 0,
    images: Annotated[
        int | None, typer.Option(min=1, help="Only on a part of the images; by default on all.")
    ] = None,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Evaluate the quality of subnets on the validation split, and wait."""
    job = client_of(context).supernets.get(supernet).evaluate(count=count, seed=seed, images=images)
    job.wait(timeout, not as_json)
    show(job.to_dict(), job_card(job), as_json)


@app.command()
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
            help="A local .toml file that sizes the family, or a supernet of the zoo; or that of --from."
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="A recipe, a supernet of the zoo, or a local .toml file; by default random."),
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
        str | None, typer.Option(help="Learn from the largest network of this supernet: its id or name.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the cost, train nothing.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait for the job.")] = False,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Train a supernet on the server, and wait with a progress bar."""
    client = client_of(context)
    options: TrainingOptions = {
        "data": data,
        "family": _family(family),
        "steps": steps,
        "seed": seed,
        "source": source,
        "teacher": teacher,
    }
    if recipe is not None:
        options["recipe"] = toml_values(recipe, "--recipe") or recipe
    if dry_run:
        estimate = client.trainings.estimate(name, **options)
        show(estimate.to_dict(), estimate_card(estimate), as_json)
        return
    job = client.trainings.create(name, **options)
    if detach:
        show(job.to_dict(), [Line(f"{job.id} is {job.state}; netwright jobs watch {job.id}")], as_json)
        return
    job.wait(timeout, not as_json)
    supernet = client.supernets.get(job.resource.id if job.resource else name)
    show({"job": job.to_dict(), "supernet": supernet.to_dict()}, supernet_card(supernet), as_json)


def _family(text: str | None) -> str | Object | None:
    values = toml_values(text, "--family")
    if values is None:
        return text
    return {"family": DEFAULT_FAMILY, **{key: v for key, v in values.items() if key not in OF_DATA}}
