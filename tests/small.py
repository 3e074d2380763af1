"""Small real things that several test files share."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernets.convert import convert
from supernets.data import DataSet
from supernets.families.family import Family
from supernets.families.mobilenet_v3 import MobileNetV3
from supernets.families.vit import Vit
from supernets.recipes.recipe import Recipe
from supernets.spaces.space import Arch
from supernets.tasks.image_classification import ImageClassification
from supernets.tasks.self_supervised_images import FEATURES, SelfSupervisedImages
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


@lru_cache(maxsize=1)
def converted_family() -> Family:
    """A family of a small converted network for the images of ``digits``: 48 channels in three groups, one residual."""
    torch.manual_seed(0)

    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.norm = nn.Conv2d(1, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16)
            self.inner, self.inner_norm = nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
            self.outer, self.outer_norm = nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
            self.last, self.head = nn.Conv2d(16, 16, 3, 2, 1), nn.Linear(16, 10)

        def forward(self, x: Tensor) -> Tensor:
            x = F.relu(self.norm(self.stem(x)))
            inner = F.relu(self.inner_norm(self.inner(x)))
            x = F.relu(x + self.outer_norm(self.outer(inner)))
            return self.head(F.relu(self.last(x)).mean((2, 3)))

    return convert(Small(), torch.randn(2, 1, 32, 32), widths=(0.25, 0.5, 0.75, 1.0), multiple=1).family


VIT_FAMILY: dict[str, Any] = {
    "image_channels": 1,
    "patch": 4,
    "resolutions": [8],
    "widths": [16, 24],
    "depths": [1, 2, 3],
    "heads": [1, 2],
    "head_size": 8,
    "ffns": [16, 32],
}


def small_vit(**changes: object) -> Vit:
    """A ViT for the images of ``digits`` with the features of ``self_supervised_images``."""
    return Vit.from_config({**VIT_FAMILY, "num_classes": FEATURES, **changes})


def task_of(recipe: str) -> Task:
    """The task that the recipe trains for."""
    return SelfSupervisedImages() if Recipe.read(recipe).make_loss().without_labels else TASK


def family_of(recipe: str) -> Family:
    """A small family that the recipe fits."""
    found = Recipe.read(recipe)
    if found.make_loss().without_labels:
        return small_vit()
    grows = any(controller.grows for controller in found.make_controllers())
    return converted_family() if grows or found.pruner is not None else small_family()


def short(name: str, **changes: object) -> Recipe:
    """A built-in recipe of six steps of eight images."""
    values = Recipe.read(name).as_json()
    for part in values["controllers"]:
        if part["kind"] == "gradient_split":
            part |= {"repeats": 1, "axes": 2}  # examining every axis is most of such a short training
        if part["kind"] == "self_expanding":
            part |= {"examples": 16}  # so is a backward pass for each example and candidate
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


def example_inputs(family: Family, arch: Arch, n: int = 6) -> tuple[Tensor, ...]:
    """Random inputs of ``arch``: images, or texts of several lengths with their mask."""
    generator = torch.Generator().manual_seed(1)
    dimensions = family.dimensions(arch)
    if "sequence" not in dimensions:
        return (torch.randn(n, *image_shape(family, arch), generator=generator),)
    length = dimensions["sequence"]
    ids = torch.randint(0, dimensions["vocabulary"], (n, length), generator=generator)
    mask = (torch.arange(length) < length - torch.arange(n)[:, None] % (length - 1)).long()
    return (ids, mask)[: 2 if "outputs" in dimensions else 1]


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


# --- texts -----------------------------------------------------------------------------------------

TEXT_FAMILY: dict[str, Any] = {
    "vocabulary": 256,
    "positions": 24,
    "sequence": 16,
    "widths": [16, 24],
    "depths": [1, 2],
    "heads": [1, 2],
    "head_size": 8,
    "ffns": [16, 32],
}
SUBJECTS = ("the cat", "a dog", "my bird", "one horse")
VERBS = {"animal": "eats", "person": "writes", "machine": "computes"}


def small_texts(folder: Path, rows: int = 240) -> str:
    """The spec of a parquet file of short sentences with three classes, of which missing splits are cut."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    classes = list(VERBS)
    labels = [classes[row % 3] for row in range(rows)]
    texts = [f"{SUBJECTS[row % 4]} {VERBS[label]} {row % 7} times" for row, label in enumerate(labels)]
    pq.write_table(pa.table({"text": texts, "label": labels}), folder / "texts.parquet")
    return f"text:{folder / 'texts.parquet'}"


def small_corpus(folder: Path, window: int = 16) -> str:
    """The spec of a text file of some 20,000 bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"def f{k}(x):\n    return x * {k % 13} + {k % 7}\n" for k in range(500)]
    (folder / "text.py").write_text("\n".join(lines))
    return f"corpus:{folder / 'text.py'},window={window}"
