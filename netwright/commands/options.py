"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from netwright.client import Client
from netwright.client.constraints import parse_limit
from netwright.client.http.models import Object
from netwright.client.http.requests import ConstraintBody
from netwright.errors import NetwrightError

SupernetOption = Annotated[str, typer.Option("--supernet", help="Id or name of a supernet.")]
SupernetArgument = Annotated[str, typer.Argument(metavar="SUPERNET", help="Id or name of a supernet.")]
SomeSupernet = Annotated[str | None, typer.Option("--supernet", help="Id or name of a supernet.")]
TargetArgument = Annotated[str, typer.Argument(metavar="TARGET", help="Id or name of a target.")]
SomeTarget = Annotated[str | None, typer.Option("--target", help="Id or name of a target.")]
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
Label = Annotated[
    list[str] | None, typer.Option("--label", help="A label such as team=vision; may be repeated.")
]
State = Annotated[
    str | None, typer.Option(help="queued, running, succeeded, failed, cancelling or cancelled.")
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of every random draw.")]
PRIORITY_HELP = "-100 to 100: of a project's queued jobs those of higher priority are taken first."
Priority = Annotated[int | None, typer.Option("--priority", min=-100, max=100, help=PRIORITY_HELP)]
Log = Annotated[
    str | None,
    typer.Option(
        "--log", metavar="TRACKER", help="Log it too: tensorboard[:FOLDER], mlflow[:URI] or wandb[:PROJECT]."
    ),
]
OnServer = Annotated[
    bool, typer.Option("--on-server", help="The file lies in the server's NETWRIGHT_IMPORT_DIR.")
]


PixelMean = Annotated[
    str | None,
    typer.Option("--mean", help="Mean of pixels in 0..1 that it expects, e.g. 0.49,0.48,0.45; the data's."),
]
PixelDeviation = Annotated[
    str | None, typer.Option("--std", help="Standard deviation of pixels that it expects; the data's.")
]
QualityOutput = Annotated[
    str | None,
    typer.Option("--output", help="The output that quality is computed from, where there are several."),
]
Widths = Annotated[str, typer.Option("--widths", help="Fractions of the channels of each axis.")]
Multiple = Annotated[int, typer.Option("--multiple", min=1, help="Kept channels are a multiple of it.")]
SkipBranches = Annotated[bool, typer.Option("--skip", help="Residual branches may be skipped.")]
Approximate = Annotated[
    bool,
    typer.Option("--approximate", help="Offer channels under a LayerNorm, where removing is not exact."),
]
Importance = Annotated[
    str,
    typer.Option(
        "--importance",
        help="Score by which channels are kept: magnitude or norm_scale, or one that is computed on labelled examples "
        "of the data: fisher, plain_magnitude, average_magnitude, cosine, taylor, taylor_squared, hesso.",
    ),
]
DEFAULT_IMPORTANCE = "magnitude"
DEFAULT_WIDTHS, DEFAULT_MULTIPLE = "0.25,0.5,0.75,1", 8
"""Options of the two commands that convert a network, and their defaults."""


def pairs(texts: Sequence[str] | None, option: str, example: str) -> dict[str, str]:
    """``team=vision`` and the like by name; anything else is wrong usage."""
    found = {}
    for text in texts or []:
        name, sign, value = text.partition("=")
        if not sign or not name or not value:
            raise typer.BadParameter(f"it must look like {example}, got {text!r}", param_hint=option)
        found[name] = value
    return found


def value_of(text: str) -> float | str:
    """A number or another JSON value, or the text itself."""
    try:
        value: float | str = json.loads(text)
    except ValueError:
        return text
    return value


def numbers(text: str, option: str) -> list[float]:
    """Numbers with commas between them."""
    try:
        return [float(each) for each in text.split(",")]
    except ValueError:
        raise NetwrightError(f"{option} must be numbers with commas between them, got {text!r}") from None


def toml_values(text: str | None, option: str) -> Object | None:
    """The values of a TOML file; None where something else is named."""
    if text is None or not text.endswith(".toml"):
        return None
    try:
        return tomllib.loads(Path(text).read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise NetwrightError(f"{option} must be a name or a TOML file, got {text}: {error}") from error


def constraints(client: Client, texts: Sequence[str] | None) -> list[ConstraintBody]:
    """Limits of a search."""
    return [parse_limit(text, client.metrics.directions) for text in texts or []]


def front_limits(client: Client, texts: Sequence[str] | None) -> dict[str, Any]:
    """Limits as parameters of a front: ``max_latency_ms``, ``min_accuracy``."""
    limits: dict[str, object] = {}
    for text in texts or []:
        row = parse_limit(text, client.metrics.directions)
        if row.get("target"):
            raise NetwrightError(f"the target of a front is set by --target, got the limit {text!r}")
        for side, value in (("min", row.get("min")), ("max", row.get("max"))):
            if value is not None:
                limits[f"{side}_{row['metric']}"] = value
    return limits
