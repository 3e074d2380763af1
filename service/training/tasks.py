"""Task of a child process: train a supernet."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from service.runtime.task import Progress, StepData
from service.supernets.bench import StoredFile
from supernets.records import ResolvedTraining

if TYPE_CHECKING:
    from service.artifacts import ArtifactStore
    from supernets.training.predicted import PredictedCost

CHECKPOINT_SECONDS = 30.0
"""The most training time that a cancelled or killed training repeats."""


class PredictorFile(StepData):
    """The stored file of a fitted predictor, and its id."""

    id: str
    sha256: str


class TrainParams(StepData):
    """Parameters of a training job; ``source`` and ``teacher`` are ids of supernets."""

    name: str
    training: ResolvedTraining
    source: str | None
    teacher: str | None
    predictor: PredictorFile | None = None


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

    NEEDS_LESS = "a smaller recipe.batch_size, a smaller largest subnet, or a machine with more"


class Trained(StepData):
    """The stored files of a trained supernet, and its manifest."""

    files: dict[str, StoredFile]
    manifest: dict[str, object]


def train(request: TrainIn, progress: Progress) -> Trained:
    """Train to the end, resuming what the run's folder holds, and store the supernet's files."""
    import torch

    from service.artifacts import ArtifactStore
    from service.supernets.checkpoints import put_directory
    from supernets.data import load_data
    from supernets.device import choose
    from supernets.training.finish import finish
    from supernets.training.further import read_source
    from supernets.training.loop import Progress as TrainingProgress
    from supernets.training.loop import RunOptions
    from supernets.training.loop import train as run_training
    from supernets.training.plan import make_plan
    from supernets.training.steps.teacher import read_teacher

    params, resolved = request.params, request.params.training
    torch.set_num_threads(request.threads)
    device, store = choose(request.device), ArtifactStore(request.artifacts)
    source, teacher = (
        _directory(request.source, store, request.cache),
        _directory(request.teacher, store, request.cache),
    )
    data = load_data(resolved.data, Path(request.data_dir) if request.data_dir else None, beside=source)
    plan = make_plan(
        resolved,
        data,
        source=read_source(source) if source is not None else None,
        teacher=read_teacher(teacher, device) if teacher is not None else None,
        predicted=_predicted(params.predictor, source, store),
    )
    run, steps = Path(request.run_dir), plan.recipe.steps

    def on_progress(at: TrainingProgress) -> None:
        progress(at.step, at.steps, at.words(), asdict(at))

    options = RunOptions(
        device=device,
        progress=on_progress,
        checkpoint_seconds=CHECKPOINT_SECONDS,
        evaluate_every=max(1, min(1000, steps // 20)),
    )
    training = run_training(plan, run, options)
    manifest = finish(
        training,
        params.name,
        run,
        run / "supernet",
        lambda done, total: progress(steps, steps, f"report card {done} of {total}"),
    )
    files = put_directory(store, run / "supernet")
    return Trained(files=files, manifest=manifest.as_json())


def _predicted(
    predictor: PredictorFile | None, source: Path | None, store: ArtifactStore
) -> PredictedCost | None:
    """What the predictor of a request gives for the archs of the source."""
    from predictors.pruning import predicted_cost
    from supernets.manifest import Manifest

    if predictor is None or source is None:
        return None
    manifest = Manifest.read(source)
    content = store.read(predictor.sha256)
    return predicted_cost(content, manifest.make_family(), manifest.weights_sha256, predictor.id)


def _directory(files: dict[str, StoredFile] | None, store: ArtifactStore, cache: str) -> Path | None:
    """A directory with the files of a supernet, where there are any."""
    from service.supernets.checkpoints import METRICS_FILE, materialise

    if files is None:
        return None
    stored = {name: file.model_dump() for name, file in files.items()}
    return materialise(store, stored, Path(cache), METRICS_FILE)
