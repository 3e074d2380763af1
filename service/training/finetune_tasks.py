"""Task of a child process: fine-tune a subnet."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from service.runtime.task import Progress, StepData
from service.supernets.bench import BenchSpec, StoredFile, open_bench
from service.training.tasks import CHECKPOINT_SECONDS


class FineTuneIn(StepData):
    """A subnet, its new images, and how it is trained on this machine."""

    bench: BenchSpec
    arch: dict[str, int | float | str]
    data: str
    recipe: dict[str, object]
    seed: int
    run_dir: str
    device: str


class FineTuned(StepData):
    """The stored weights, and the record of what came out (:class:`supernets.training.finetune.FineTuneRecord`)."""

    weights: StoredFile
    record: dict[str, object]


def finetune(request: FineTuneIn, progress: Progress) -> FineTuned:
    """Train to the end, resuming what the run's folder holds, and store the subnet's weights."""
    from supernets.data import load_data
    from supernets.device import choose
    from supernets.recipes.recipe import Recipe
    from supernets.training.finetune import finish_finetune, plan_finetune
    from supernets.training.loop import Progress as TrainingProgress
    from supernets.training.loop import RunOptions, train

    bench = open_bench(request.bench)
    arch = bench.family.space().arch(request.arch)
    data = load_data(request.data, bench.data_dir, beside=bench.directory)
    finetune = plan_finetune(bench.supernet, arch, data, Recipe.parse(request.recipe), request.seed)
    steps = finetune.plan.recipe.steps

    def on_progress(at: TrainingProgress) -> None:
        progress(at.step, at.steps, at.words(), asdict(at))

    options = RunOptions(
        device=choose(request.device),
        progress=on_progress,
        checkpoint_seconds=CHECKPOINT_SECONDS,
        evaluate_every=max(1, min(1000, steps // 5)),
    )
    training = train(finetune.plan, Path(request.run_dir), options)
    progress(steps, steps, "testing the subnet before and after")
    record, weights = finish_finetune(finetune, training)
    return FineTuned(
        weights=StoredFile(sha256=bench.store.put(weights), bytes=len(weights)),
        record=record.model_dump(mode="json"),
    )
