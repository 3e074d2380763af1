"""Small real things that several test files share."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from torch import Tensor

from supernets.data import DataSet
from supernets.families.family import Family
from supernets.families.mobilenet_v3 import MobileNetV3
from supernets.recipes.recipe import Recipe
from supernets.spaces.space import Arch
from supernets.tasks.image_classification import ImageClassification
from supernets.tasks.task import Interface, Task
from supernets.training import loop
from supernets.training.plan import TrainingPlan
from supernets.training.steps.processes import Processes
from supernets.training.steps.training import Training

SMALL = {
    "num_classes": 10,
    "image_channels": 1,
    "divisor": 4,
    "stem_width": 4,
    "first_width": 4,
    "stages": [
        {"width": 8, "stride": 2, "activation": "relu"},
        {"width": 12, "stride": 2, "activation": "h_swish", "squeeze_excite": True},
    ],
    "head_width": 24,
    "feature_width": 32,
    "resolutions": [8, 16],
    "depths": [1, 2],
    "kernels": [3, 5],
    "expansions": [1, 2],
}


def small_family(**changes: object) -> MobileNetV3:
    """A MobileNetV3 small enough for property tests; with the resolution, 2,592 archs."""
    return MobileNetV3.from_config({**SMALL, **changes})


def short(name: str, **changes: object) -> Recipe:
    """A built-in recipe of six steps of eight images."""
    values = Recipe.read(name).as_json()
    for part in values["controllers"]:
        if part["kind"] == "gradient_split":
            part |= {"repeats": 1, "axes": 2}  # examining every axis is most of such a short training
    return Recipe.parse({**values, "steps": 6, "batch_size": 8, "schedule": {"warmup_steps": 2}, **changes})


TASK = ImageClassification()


def interface_of(images: Tensor, outputs: int = 10) -> Interface:
    """The inputs and output of a file for such images ``(n, c, h, w)``."""
    names = ("channels", "height", "width")
    return TASK.interface({**dict(zip(names, images.shape[1:], strict=True)), "outputs": outputs})


def image_shape(family: Family, arch: Arch) -> tuple[int, int, int]:
    """Channels, height and width of the image that ``arch`` reads."""
    dimensions = family.dimensions(arch)
    return dimensions["channels"], dimensions["height"], dimensions["width"]


PLAN_FIELDS = {field.name for field in dataclasses.fields(TrainingPlan)}


def planned(
    recipe: Recipe, family: Family, data: DataSet, seed: int = 0, *, task: Task = TASK, **more: Any
) -> TrainingPlan:
    """A plan; ``more`` are its source, momentum and teacher."""
    return TrainingPlan(recipe, family, data, task, seed, **more)


def start(
    recipe: Recipe,
    family: Family,
    data: DataSet,
    seed: int = 0,
    *,
    device: str = "cpu",
    processes: Processes | None = None,
    **plan: Any,
) -> Training:
    """A training at step 0."""
    return loop.start(planned(recipe, family, data, seed, **plan), device=device, processes=processes)


def train(recipe: Recipe, family: Family, data: DataSet, out: Path, **options: Any) -> Training:
    """A training run with the loop; ``options`` are fields of the plan and of the run."""
    plan = {name: options.pop(name) for name in PLAN_FIELDS & set(options)}
    return loop.train(planned(recipe, family, data, **plan), out, loop.RunOptions(**options))
