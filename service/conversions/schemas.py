"""Converting a network of the user's own into a supernet."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from service.http.files import FileBody
from service.http.schemas import Body, JobRequest, Name, Seed
from service.problems import View
from supernets.convert.importances import DEFAULT, IMPORTANCES
from supernets.convert.records import FoundRecord
from supernets.data_facts.spec import DataSpec
from supernets.families.converted.traced_space import MULTIPLE, WIDTHS
from supernets.metrics import ACCURACY

Moment = Annotated[list[float], Field(min_length=1, max_length=4)]


class ExpectsBody(Body):
    """How the network was trained to see images."""

    mean: Moment = Field(description="Mean of pixels in 0..1, one a channel")
    std: Moment = Field(description="Standard deviation of pixels in 0..1, one a channel")
    crop: float = Field(1.0, ge=0.05, le=1, description="Share of an image's side that is kept")


class ConversionSpec(Body):
    """A network, and how its axes are made."""

    file: FileBody = Field(
        description="A .pt2 file of torch.export.save, exported in evaluation mode with a dynamic batch. Nothing in it "
        "is run: pickled tensors and operators of other libraries are refused"
    )
    data: str | DataSpec = Field(
        description="What it was trained on, or data with the same classes: see /v1/trainings",
        examples=["folder:photos"],
    )
    task: str | None = Field(
        None, max_length=80, description="What it was trained for; image_classification if not given"
    )
    quality: str | None = Field(
        None,
        max_length=80,
        description="Name of the quality metric: the task whose quality it is, where no task is given",
        examples=[ACCURACY],
    )
    output: str | None = Field(
        None, max_length=400, description="The output that quality is computed from, where there are several"
    )
    widths: list[float] = Field(
        list(WIDTHS),
        min_length=1,
        max_length=32,
        description="Fractions of the channels of each axis, ascending; the last is 1",
    )
    multiple: int = Field(
        MULTIPLE,
        ge=1,
        le=1024,
        description="Kept channels are a multiple of it, where an axis has enough channels",
    )
    approximate: bool = Field(
        False, description="Offer channels under a LayerNorm or GroupNorm too, where removing is not exact"
    )
    skip: bool = Field(False, description="Residual branches may be skipped")
    importance: str = Field(
        DEFAULT,
        max_length=80,
        description="Score by which channels are kept: magnitude and norm_scale are of the weights, the others of "
        f"the first training examples too: {', '.join(IMPORTANCES)}",
    )
    expects: ExpectsBody | None = Field(
        None, description="If absent: the mean and standard deviation of the data"
    )


class ConversionExamine(ConversionSpec):
    """A network to be looked at."""


class ConversionCreate(ConversionSpec, JobRequest):
    """Convert a network, train its subnets with the original as their teacher, and register the supernet."""

    name: Name
    training: bool = Field(
        True, description="false: subnets are slices of the original with recalibrated statistics"
    )
    recipe: str | dict[str, Any] | None = Field(
        None,
        description="How subnets are trained: name of a recipe or its values; if absent, the sandwich rule with the "
        "original as the teacher",
    )
    steps: int | None = Field(
        None,
        ge=1,
        le=10_000_000,
        description="Replaces the recipe's steps; fewer shorten its warm-ups in proportion",
    )
    seed: Seed = 0

    @model_validator(mode="after")
    def _trained(self) -> ConversionCreate:
        if not self.training and (self.recipe is not None or self.steps is not None):
            raise ValueError("'recipe' and 'steps' are for a training: leave them out, or 'training': false")
        return self


class PretrainedCreate(JobRequest):
    """Convert a pretrained transformer and register it as a supernet; a training may follow, with it as the source."""

    name: Name
    folder: str = Field(
        min_length=1,
        max_length=1000,
        description="Folder as Hugging Face writes it, relative to NETWRIGHT_IMPORT_DIR: config.json, weights "
        "(model.safetensors, whole or in parts, or pytorch_model.bin without pickled code) and a tokenizer. No code in "
        "it is run",
    )
    data: str | DataSpec = Field(
        description="What it is to be fine-tuned on: see /v1/trainings", examples=["text:intents.parquet"]
    )
    task: str | None = Field(
        None, max_length=80, description="What it is for; if absent, that which fits the folder and the data"
    )
    quality: str | None = Field(
        None, max_length=80, description="Name of the quality metric, which must be that of the task"
    )
    sequence: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="Tokens to which texts are cut or padded: at most the network's positions; if absent 64, or the "
        "positions where there are fewer",
    )


class RoughLatency(View):
    """About how long both ends take on a target, from costs alone: a search measures."""

    target: str
    name: str = Field(description="Name of the target")
    smallest: float = Field(description="ms")
    largest: float = Field(description="ms, of the original")
    rows: int = Field(description="Measured subnets of other supernets that this is estimated from")
    error: float | None = Field(
        description="Median relative error for supernets that were left out; null with rows of a single one"
    )


class ConversionView(FoundRecord, View):
    """What was found in a network, before anything is trained."""

    latency: list[RoughLatency] = Field(
        description="On the targets of the project that have measured subnets of other supernets"
    )
