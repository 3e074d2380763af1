"""Training a supernet."""

from __future__ import annotations

from importlib.resources import files
from typing import Annotated

from pydantic import Field

from service.http.schemas import Body, JobRequest, Name, Seed
from service.problems import View
from supernets.data_facts.report import DataReport
from supernets.data_facts.spec import DataSpec
from supernets.metrics import MACS

Share = Annotated[float, Field(gt=0, lt=1)]
RECIPES = sorted(
    path.name.removesuffix(".toml")
    for path in files("supernets.recipes").iterdir()
    if path.name.endswith(".toml")
)
"""Names of the recipes that come with the project; found without importing them, which would load torch."""


class TrainingSpec(Body):
    """What is trained with which recipe on what; with a ``source``, data, family and seed may be left to it."""

    data: str | DataSpec | None = Field(
        None,
        description="Name of a data set; folder:PATH, parquet:PATH or stream:PATH inside NETWRIGHT_IMPORT_DIR; "
        "hub:NAME, text:PATH, corpus:PATH or python_source; with options after commas (folder:photos,channels=3), or "
        "as an object. That of the source if absent",
        examples=["digits"],
    )
    family: str | dict[str, object] | None = Field(
        None,
        description="Name of a zoo supernet whose family to take, or {'family': name, ...its settings}; that of the "
        "source if not given. Classes and channels that it does not set are those of the data",
        examples=["digits"],
    )
    recipe: str | dict[str, object] | None = Field(
        None,
        description="Name of a recipe or of a zoo supernet whose recipe to take, or its values. If absent: "
        "poa for a task without labels, else largest_first where a source is a transformer (bert, gpt, vit), "
        "else random",
        examples=RECIPES,
    )
    task: str | None = Field(
        None,
        max_length=80,
        description="The task; image_classification if absent, or that of the source",
        examples=["image_classification"],
    )
    steps: int | None = Field(
        None,
        ge=1,
        le=10_000_000,
        description="Replaces the recipe's steps; fewer shorten its warm-ups in proportion",
    )
    seed: Seed | None = Field(
        None,
        description="Seed of every random draw; 0 if absent, or with a source that of its last stage + 1",
    )
    source: str | None = Field(
        None,
        description="Id or name of a supernet: its weights are where this training begins, as a new stage",
    )
    teacher: str | None = Field(
        None,
        description="Id or name of a supernet whose largest net teaches; the recipe must use a teacher",
    )
    keep: dict[str, Share] | None = Field(
        None,
        min_length=1,
        max_length=1,
        description="Of a pruning recipe: a metric and the share of it that is kept. A metric in closed form, or with "
        "`target` one that a predictor of the source gives",
        examples=[{MACS: 0.4}],
    )
    target: str | None = Field(
        None,
        description="Id or name of a target: `keep` is of a metric of it, such as latency_ms, as the newest predictor "
        "that is fitted for the source there predicts it",
    )


class TrainingCreate(TrainingSpec, JobRequest):
    """Train a supernet with a recipe on a data set; the job registers it when it is done."""

    name: Name


class TrainingEstimate(TrainingSpec):
    """What a training would take."""

    name: Name | None = Field(None, description="If present, refused where it is taken")


class EstimateView(View):
    """Size and cost of a training. A backward pass counts as two forward passes; MB are 10^6 bytes."""

    data: str
    data_report: DataReport | None = Field(
        None, description="What the images are like, from a sample; null for published data sets"
    )
    classes: int | None = Field(description="null if it is known only after loading")
    train_images: int | None = Field(description="null if it is known only after loading")
    task: str
    family: str
    recipe: str
    steps: int
    batch_size: int
    seed: int
    subnets: float = Field(description="Size of the space that is trained")
    params: list[float] = Field(description="Of the smallest and the largest subnet of the family")
    macs: list[float] = Field(description="Of the smallest and the largest subnet of the family")
    passes: int = Field(description="Forward and backward passes of subnets")
    billed: float = Field(description="The same, and a third for each forward pass alone")
    macs_per_step: float
    memory_mb: float | None = Field(
        description="Weights, gradients, activations and images; null if it is known only after loading"
    )
    networks: int = Field(description="More than one where the recipe splits the space")
    seconds: float | None = Field(None, description="null: it is known only after real steps on the worker")
