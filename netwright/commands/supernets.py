"""``netwright supernets …``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netwright.client import Client
from netwright.client.http.models import Object
from netwright.client.http.requests import (
    ConversionOptions,
    ExamineOptions,
    PretrainedOptions,
    TrainingOptions,
)
from netwright.client.jobs import DEFAULT_TIMEOUT_S, Job
from netwright.commands.options import (
    DEFAULT_IMPORTANCE,
    DEFAULT_MULTIPLE,
    DEFAULT_WIDTHS,
    Approximate,
    Importance,
    Multiple,
    PixelDeviation,
    PixelMean,
    Priority,
    QualityOutput,
    Seed,
    SkipBranches,
    SupernetArgument,
    Widths,
    numbers,
    toml_values,
)
from netwright.errors import NetwrightError
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
    file: Annotated[
        str,
        typer.Argument(
            help="A .pt2 file of torch.export.save of your network, or the Hugging Face folder of a pretrained "
            "transformer inside the server's NETWRIGHT_IMPORT_DIR."
        ),
    ],
    data: Annotated[
        str,
        typer.Option(
            help="What it was trained on: digits, cifar10, hub:NAME, or folder:PATH or parquet:PATH inside the "
            "server's NETWRIGHT_IMPORT_DIR. Of a folder: what it is fine-tuned on, also text:PATH or corpus:PATH."
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
    importance: Importance = DEFAULT_IMPORTANCE,
    no_training: Annotated[
        bool, typer.Option("--no-training", help="Slices of the original with recalibrated statistics.")
    ] = False,
    recipe: Annotated[
        str | None,
        typer.Option(help="A recipe or a local .toml file; by default the original teaches its subnets."),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Replace the recipe's number of steps; fewer shorten its warm-ups too."),
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="Of a folder: its task; that which fits the data if not given.")
    ] = None,
    sequence: Annotated[
        int | None, typer.Option(min=1, help="Of a folder: tokens to which texts are cut or padded.")
    ] = None,
    seed: Seed = 0,
    priority: Priority = None,
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
    if not file.endswith(".pt2") and not Path(file).is_file():
        chosen: PretrainedOptions = {
            "data": data,
            "quality": quality,
            "task": task,
            "sequence": sequence,
            "priority": priority,
        }
        job = client.conversions.create_pretrained(name or Path(file).name, file, **chosen)
        _follow_conversion(client, job, detach, timeout, as_json)
        return
    if task is not None or sequence is not None:
        raise NetwrightError(f"--task and --sequence are of a Hugging Face folder, got the file {file!r}")
    how: ExamineOptions = {
        "data": data,
        "quality": quality,
        "output": output,
        "widths": numbers(widths, "--widths"),
        "multiple": multiple,
        "skip": skip,
        "approximate": approximate,
        "importance": importance,
    }
    if mean is not None or std is not None:
        how["expects"] = {"mean": numbers(mean or "", "--mean"), "std": numbers(std or "", "--std")}
    found = client.conversions.examine(file, on_server=on_server, **how)
    if dry_run or not as_json:
        show(found.to_dict(), found_sections(found), as_json)
    if dry_run:
        return
    options: ConversionOptions = {
        **how,
        "training": not no_training,
        "recipe": toml_values(recipe, "--recipe") or recipe,
        "steps": steps,
        "seed": seed,
        "priority": priority,
    }
    called = name or Path(file).stem
    job = client.conversions.create(called, file, on_server=on_server, **options)
    _follow_conversion(client, job, detach, timeout, as_json, {"found": found.to_dict()})


def _follow_conversion(
    client: Client, job: Job, detach: bool, timeout: float, as_json: bool, more: Object | None = None
) -> None:
    """Wait for the supernet of a conversion, and show it."""
    if detach:
        show(job.to_dict(), [Line(f"{job.id} is {job.state}; netwright jobs watch {job.id}")], as_json)
        return
    job.wait(timeout, not as_json)
    assert job.resource is not None
    supernet = client.supernets.get(job.resource.id)
    show(
        {**(more or {}), "job": job.to_dict(), "supernet": supernet.to_dict()},
        supernet_card(supernet),
        as_json,
    )


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
    priority: Priority = None,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Evaluate the quality of subnets on the validation split, and wait."""
    found = client_of(context).supernets.get(supernet)
    job = found.evaluate(count=count, seed=seed, images=images, priority=priority)
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
        typer.Option(
            help="A recipe, a supernet of the zoo, or a local .toml file; by default poa for a task without "
            "labels, else largest_first where --from is a transformer, else random."
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Replace the recipe's number of steps; fewer shorten its warm-ups too."),
    ] = None,
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
    keep: Annotated[
        str | None,
        typer.Option(
            help="Of a pruning recipe: share of a metric that is kept, e.g. macs=0.4, or with --target latency_ms=0.5."
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="With --keep latency_ms=…: the target whose fitted predictor is used, its id or name."
        ),
    ] = None,
    priority: Priority = None,
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
        "keep": None if keep is None else _share(keep),
        "target": target,
    }
    if recipe is not None:
        options["recipe"] = toml_values(recipe, "--recipe") or recipe
    if dry_run:
        estimate = client.trainings.estimate(name, **options)
        show(estimate.to_dict(), estimate_card(estimate), as_json)
        return
    job = client.trainings.create(name, **options, priority=priority)
    if detach:
        show(job.to_dict(), [Line(f"{job.id} is {job.state}; netwright jobs watch {job.id}")], as_json)
        return
    job.wait(timeout, not as_json)
    supernet = client.supernets.get(job.resource.id if job.resource else name)
    show({"job": job.to_dict(), "supernet": supernet.to_dict()}, supernet_card(supernet), as_json)


def _share(text: str) -> dict[str, float]:
    """``macs=0.4`` as the service reads it."""
    metric, _, share = text.partition("=")
    try:
        return {metric: float(share)}
    except ValueError:
        raise NetwrightError(f"--keep must be a metric and a share, such as macs=0.4, got {text!r}") from None


def _family(text: str | None) -> str | Object | None:
    values = toml_values(text, "--family")
    if values is None:
        return text
    return {"family": DEFAULT_FAMILY, **{key: v for key, v in values.items() if key not in OF_DATA}}
