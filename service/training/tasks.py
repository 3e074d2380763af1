"""Task of a child process: train a supernet."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.runtime.task import Progress

if TYPE_CHECKING:
    from service.artifacts import ArtifactStore
    from supernets.data import DataSet
    from supernets.families.family import Family

Payload = dict[str, Any]
CHECKPOINT_SECONDS = 30.0
"""The most training time that a cancelled or killed training repeats."""


def train(payload: Payload, progress: Progress) -> dict[str, Any]:
    """Train to the end, resuming what the run's folder holds, and store the supernet's files.

    ``source`` and ``teacher`` are the stored files of supernets, or none.
    """
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

    torch.set_num_threads(payload["threads"])
    recipe = Recipe.parse(payload["recipe"])
    data = load_data(payload["data"], Path(payload["data_dir"]) if payload["data_dir"] else None)
    family, device = _fitted(payload, data), choose(payload["device"])
    store = ArtifactStore(payload["artifacts"])
    source, teacher = _supernet(payload, store, "source"), _supernet(payload, store, "teacher")
    run = Path(payload["run_dir"])

    def told(at: Any) -> None:
        progress(at.step, at.steps, at.words(), asdict(at))

    training = run_training(
        recipe,
        family,
        data,
        run,
        seed=payload["seed"],
        device=device,
        progress=told,
        source=read_source(source) if source is not None else None,
        teacher=read_teacher(teacher, device) if teacher is not None else None,
        checkpoint_seconds=CHECKPOINT_SECONDS,
        evaluate_every=max(1, min(1000, recipe.steps // 20)),
    )
    manifest = finish(
        training,
        payload["name"],
        run,
        run / "supernet",
        lambda done, total: progress(recipe.steps, recipe.steps, f"report card {done} of {total}"),
    )
    files = put_directory(store, run / "supernet")
    return {"files": files, "manifest": manifest.as_json()}


def _fitted(payload: Payload, data: DataSet) -> Family:
    """The family; what was left to the data is theirs."""
    from supernets import FAMILIES

    theirs = {"num_classes": len(data.classes), "image_channels": data.channels}
    fit = {key: theirs[key] for key in payload.get("fit", ())}
    wanted = payload["family"]
    family: Family = FAMILIES.load(wanted["family"]).from_config({**wanted["config"], **fit})
    return family


def _supernet(payload: Payload, store: ArtifactStore, role: str) -> Path | None:
    """A directory with the supernet that has this role, if one has."""
    from service.supernets.checkpoints import METRICS_FILE, materialise

    files = payload[role]
    return None if files is None else materialise(store, files, Path(payload["cache"]), METRICS_FILE)
