"""``netwright convert``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from netwright.client.http.decode import read
from netwright.client.http.models import ConversionView
from netwright.commands.options import (
    DEFAULT_IMPORTANCE,
    DEFAULT_MULTIPLE,
    DEFAULT_WIDTHS,
    Approximate,
    Importance,
    Multiple,
    PixelDeviation,
    PixelMean,
    QualityOutput,
    SkipBranches,
    Widths,
)
from netwright.output.found_card import found_sections
from netwright.output.printing import Json, show


def convert(
    network: Annotated[
        str,
        typer.Argument(
            help="module:function that returns a torch network, a .pt2 file of torch.export, or the Hugging Face "
            "folder of a pretrained BERT, DistilBERT, MiniLM, GPT-2 or ViT."
        ),
    ],
    data: Annotated[
        str,
        typer.Option(
            help="What it was trained on: digits, cifar10, folder:PATH, parquet:PATH, hub:NAME. Of a folder: what it "
            "is fine-tuned on, also text:PATH or corpus:PATH."
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Folder of the supernet; none with --dry-run.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the supernet; the folder's if not given.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Weights of the network: a .safetensors file of its state.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="Size of an input, e.g. 3x32x32, where the function gives no example.")
    ] = None,
    mean: PixelMean = None,
    std: PixelDeviation = None,
    crop: Annotated[
        float, typer.Option(min=0.05, max=1.0, help="With --mean: share of an image's side that is kept.")
    ] = 1.0,
    output: QualityOutput = None,
    widths: Widths = DEFAULT_WIDTHS,
    multiple: Multiple = DEFAULT_MULTIPLE,
    skip: SkipBranches = False,
    approximate: Approximate = False,
    importance: Importance = DEFAULT_IMPORTANCE,
    task: Annotated[
        str | None, typer.Option(help="Of a folder: its task; that which fits the data if not given.")
    ] = None,
    sequence: Annotated[
        int | None,
        typer.Option(
            min=1, help="Of a folder with a network of texts: tokens to which they are cut or padded."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what was found.")] = False,
    as_json: Json = False,
) -> None:
    """Make a supernet of a trained network of your own: what can be removed from it, what stays and why."""
    from netwright import convert_commands
    from netwright.errors import NetwrightError

    if out is None and not dry_run:
        raise NetwrightError("--out must be given, or --dry-run")
    if Path(network).is_dir():
        if out is None:
            raise NetwrightError("--out must be given: a folder has no --dry-run")
        folder = convert_commands.FolderCommand(Path(network), data, out, name, task, sequence)
        card = convert_commands.convert_folder(folder)
        typer.echo(json.dumps(asdict(card)) if as_json else convert_commands.folder_text(card, out))
        return
    if task is not None or sequence is not None:
        raise NetwrightError(
            f"--task and --sequence are of a Hugging Face folder, and {network!r} is no folder"
        )
    command = convert_commands.ConvertCommand(
        network=network,
        data=data,
        out=None if dry_run else out,
        name=name,
        weights=weights,
        size=size,
        mean=mean,
        std=std,
        crop=crop,
        output=output,
        widths=widths,
        multiple=multiple,
        skip=skip,
        approximate=approximate,
        importance=importance,
    )
    found = convert_commands.convert(command)
    show(found, found_sections(read(ConversionView, {**found, "latency": []})), as_json)
    if command.out is not None and not as_json:
        typer.echo(
            f"{command.out} is a supernet: copy it below NETWRIGHT_IMPORT_DIR and `netwright supernets add --path`"
        )
