"""Task of a child process: train a supernet."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from service.runtime.task import Progress, StepData
from service.supernets.bench import StoredFile

if TYPE_CHECKING:
    from service.artifacts import ArtifactStore
    from supernets.data import DataSet
    from supernets.families.family import Family

CHECKPOINT_SECONDS = 30.0
"""The most training time that a cancelled or killed training repeats."""


class NamedFamily(StepData):
    """A family and its settings."""

    family: str
    config: dict[str, JsonValue]


class TrainParams(StepData):
    """Parameters of a training job; ``fit`` are settings of the family that are taken from the data.

    ``source`` and ``teacher`` are ids of supernets.
    """

    name: str
    seed: int
    family: NamedFamily
    fit: list[str]
    recipe: dict[str, JsonValue]
    data: str
    source: str | None
    teacher: str | None


class TrainIn(StepData):
    """A training on this machine; ``source`` and ``teacher`` are the stored files of supernets."""

    params: TrainParams
    source: dict[str, StoredFile] | None
    teacher: dict[str, StoredFile] | None
    artifacts: str
    cache: str
    data_dir: str | None
    run_dir: str
    threads: int
    device: str


class Trained(StepData):
    """The stored files of a trained supernet, and its manifest."""

    files: dict[str, StoredFile]
    manifest: dict[str, Any]


def train(request: TrainIn, progress: Progress) -> Trained:
    """Train to the end, resuming what the run's folder holds, and store the supernet's files."""
    import torch

    from service.artifacts import ArtifactStore
    from service.supernets.checkpoints import put_directory
    from supernets.data import load_data
    from supernets.device import choose
    from supernets.recipes.recipe import Recipe
    from supernets.training.finish import finish
    from supernets.training.further import read_source
    from supernets.training.loop import train as run_training
    from supernets.training.teacher import read_teacher

    params = request.params
    torch.set_num_threads(request.threads)
    recipe = Recipe.parse(params.recipe)
    data = load_data(params.data, Path(request.data_dir) if request.data_dir else None)
    family, device = _fitted(params, data), choose(request.device)
    store = ArtifactStore(request.artifacts)
    source, teacher = (
        _directory(request.source, store, request.cache),
        _directory(request.teacher, store, request.cache),
    )
    run = Path(request.run_dir)

    def on_step(at: Any) -> None:
        progress(at.step, at.steps, at.words(), asdict(at))

    training = run_training(
        recipe,
        family,
        data,
        run,
        seed=params.seed,
        device=device,
        progress=on_step,
        source=read_source(source) if source is not None else None,
        teacher=read_teacher(teacher, device) if teacher is not None else None,
        checkpoint_seconds=CHECKPOINT_SECONDS,
        evaluate_every=max(1, min(1000, recipe.steps // 20)),
    )
    manifest = finish(
        training,
        params.name,
        run,
        run / "supernet",
        lambda done, total: progress(recipe.steps, recipe.steps, f"report card {done} of {total}"),
    )
    files = put_directory(store, run / "supernet")
    return Trained(files=files, manifest=manifest.as_json())


def _fitted(params: TrainParams, data: DataSet) -> Family:
    """The family, with the settings that are taken from the data."""
    from supernets import FAMILIES

    of_data = {"num_classes": len(data.classes), "image_channels": data.channels}
    fit = {key: of_data[key] for key in params.fit}
    family: Family = FAMILIES.load(params.family.family).from_config({**params.family.config, **fit})
    return family


def _directory(files: dict[str, StoredFile] | None, store: ArtifactStore, cache: str) -> Path | None:
    """A directory with the files of a supernet, where there are any."""
    from service.supernets.checkpoints import METRICS_FILE, materialise

    if files is None:
        return None
    stored = {name: file.model_dump() for name, file in files.items()}
    return materialise(store, stored, Path(cache), METRICS_FILE)
