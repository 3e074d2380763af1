"""``netwright train`` and ``netwright card``: training and measuring on this machine, without a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from netwright.client.resource import counted
from netwright.errors import NetwrightError
from netwright.installed import server_packages
from netwright.metric_names import MACS, PARAMS
from netwright.processes import first_signal_asks
from netwright.progress import Show, Shown, bar, duration, steps
from netwright.trackers import open_tracker, training_values

if TYPE_CHECKING:
    import torch

    from supernets.training.plan import TrainingPlan
    from supernets.training.predicted import PredictedCost
    from supernets.training.steps.log import Progress
    from supernets.training.steps.training import Training

CHECKPOINT_SECONDS = 30.0
DRY_STEPS = 3
INTERRUPTED = 130
"""Exit status after Ctrl-C, as of any command."""
STOPPING = "finishing this step, then saving; Ctrl-C again stops at once, at the last checkpoint"


@dataclass(frozen=True, slots=True)
class TrainCommand:
    """The options of ``netwright train``; ``family`` is a file, ``recipe`` a file or a name, ``source`` a folder.

    None is left to the source, or to the data and the defaults (:mod:`supernets.training.plan`).
    """

    out: Path
    name: str
    data: str | None
    recipe: str
    family: Path | None
    source: Path | None
    momentum: bool
    teacher: Path | None
    steps: int | None
    keep: str | None
    predictor: Path | None
    until_step: int | None
    seed: int | None
    task: str | None
    threads: int
    device: str
    dry_run: bool
    log: str | None = None
    licence: str | None = None


def train(command: TrainCommand) -> None:
    """Train or resume, or with ``dry_run`` print what it would take; a finished training becomes a supernet."""
    with server_packages():
        import torch

        from supernets.device import choose

        torch.set_num_threads(command.threads)
        _check_licence(command.licence)
        if command.source is not None and command.source.resolve() == command.out.resolve():
            raise NetwrightError(f"--out must be another folder than --from, got {command.out} for both")
        device = choose(command.device)
        plan = _plan(command, device)
        _show_data(plan, whole=command.dry_run)
        if command.dry_run:
            _print_estimate(plan, device)
            return
        training = _run(command, plan, device)
        if not training.finished:
            typer.echo(
                f"stopped at step {training.step} of {plan.recipe.steps}; the same command resumes here"
            )
            if training.step < min(command.until_step or plan.recipe.steps, plan.recipe.steps):
                raise typer.Exit(INTERRUPTED)
            return
        _finish(command, training)
    typer.echo((command.out / "report.md").read_text())
    typer.echo(
        f"{command.out} is a supernet: copy it below NETWRIGHT_IMPORT_DIR and `netwright supernets add --path`"
    )


def _check_licence(licence: str | None) -> None:
    """Refuse at the start what the manifest would refuse after the training."""
    from supernets.manifest import MAX_LICENCE

    if licence is not None and not 1 <= len(licence) <= MAX_LICENCE:
        raise NetwrightError(f"--licence must have 1 to {MAX_LICENCE} characters, got {len(licence)}")


def _plan(command: TrainCommand, device: torch.device) -> TrainingPlan:
    from supernets.training.plan import TrainingFiles

    files = TrainingFiles(
        recipe=command.recipe,
        family=command.family,
        data=command.data,
        task=command.task,
        seed=command.seed,
        steps=command.steps,
        keep=command.keep,
        source=command.source,
        momentum=command.momentum,
        teacher=command.teacher,
        predicted=_predicted(command),
    )
    return files.plan(device)


def _predicted(command: TrainCommand) -> PredictedCost | None:
    """What the file of --predictor gives for the supernet of --from."""
    from predictors.errors import PredictorError
    from predictors.pruning import predicted_cost
    from supernets.manifest import Manifest

    file = command.predictor
    if file is None:
        return None
    if command.source is None:
        raise NetwrightError("--predictor needs --from: it belongs to the supernet that is pruned")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise NetwrightError(
            f"--predictor must be a file that `netwright predictors show ID --save FILE` wrote, got {file}: {error}"
        ) from error
    manifest = Manifest.read(command.source)
    try:
        return predicted_cost(content, manifest.make_family(), manifest.weights_sha256, file.name)
    except PredictorError as error:
        raise NetwrightError(
            f"--predictor must be a file of `netwright predictors show ID --save FILE`, of a predictor of "
            f"{command.source}, got {file}: {error}"
        ) from error


def _run(command: TrainCommand, plan: TrainingPlan, device: torch.device) -> Training:
    """Train with a progress bar; the first Ctrl-C saves and stops."""
    from supernets.training.loop import RunOptions
    from supernets.training.loop import train as run

    last = min(command.until_step or plan.recipe.steps, plan.recipe.steps)
    with (
        _tracked(command) as track,
        bar(f"training {command.name}") as show,
        first_signal_asks(STOPPING) as asked,
    ):
        shown = _bar(show, last)

        def report(progress: Progress) -> None:
            shown(progress)
            track(progress)

        options = RunOptions(
            until_step=command.until_step,
            stop=asked,
            checkpoint_seconds=CHECKPOINT_SECONDS,
            progress=report,
            device=device,
        )
        return run(plan, command.out / "training", options)


@contextmanager
def _tracked(command: TrainCommand) -> Iterator[Callable[[Progress], None]]:
    """A function that logs progress to the tracker of ``--log``; nothing where there is none."""
    if command.log is None:
        yield lambda _: None
        return
    with open_tracker(command.log, command.name) as tracker:
        tracker.parameters({"recipe": command.recipe, "data": command.data, "seed": command.seed})
        yield lambda progress: tracker.metrics(progress.step, training_values(asdict(progress)))


def _finish(command: TrainCommand, training: Training) -> None:
    from supernets.training.finish import finish

    try:
        with bar("report card") as show:
            finish(
                training,
                command.name,
                command.out / "training",
                command.out,
                _counted(show),
                licence=command.licence,
            )
    except KeyboardInterrupt as stop:
        stop.add_note("the training is finished and kept; the same command makes the report card")
        raise


def card(folder: Path, data: str | None, subnets: int, threads: int) -> None:
    """Measure subnets of the supernet in ``folder`` on this machine, and put their front into its report card."""
    with server_packages():
        import torch

        from predictors.card_front import card_front
        from predictors.targets.cpu import CpuSettings, CpuTarget
        from supernets.checkpoints import load_supernet
        from supernets.data import load_data
        from supernets.training.finish import add_front

        torch.set_num_threads(1)
        supernet = load_supernet(folder)
        if "summary" not in supernet.manifest.report:
            raise NetwrightError(
                f"{folder} must have a report card, as `netwright train` writes it, to put a front into; it has none: "
                f"train it with --from {folder} first"
            )
        target = CpuTarget(CpuSettings(threads=threads))
        with bar("report card") as show:
            images = load_data(data or supernet.manifest.data.name, beside=folder)
            front = card_front(supernet, images, target, subnets=subnets, progress=steps(show))
        add_front(folder, front)
    typer.echo((folder / "report.md").read_text())


def _show_data(plan: TrainingPlan, whole: bool) -> None:
    """The data report of a user's own images: ``whole``, or its warnings alone."""
    from netwright.output.data_report import report_sections
    from netwright.output.printing import show
    from supernets.training.sizes import resolution_problems

    found = plan.data.report
    if found is not None:
        report = found.model_copy(
            update={"problems": [*found.problems, *resolution_problems(found, plan.family)]}
        )
        if whole:
            show({}, report_sections(report.model_dump(mode="json")), as_json=False)
        else:
            for problem in report.warnings:
                typer.echo(f"warning: {problem.message}", err=True)


def _bar(show: Show, last: int) -> Callable[[Progress], None]:
    """The last accuracies stay in sight."""
    quality: dict[str, float] = {}

    def report(progress: Progress) -> None:
        quality.update(progress.quality)
        words = replace(progress, quality=quality).words()
        show(Shown(f"epoch {progress.epoch:.1f} | {words}", progress.step, last, progress.eta_s))

    return report


def _counted(show: Show) -> Callable[[int, int], None]:
    return lambda done, total: show(Shown("evaluating subnets", done, total))


def _print_estimate(plan: TrainingPlan, device: torch.device) -> None:
    """Print what would be trained, and how long it would take, from a few real steps that leave no trace."""
    import time

    from supernets.device import described
    from supernets.training.estimate import estimate
    from supernets.training.loop import start, train_step

    recipe, family, data = plan.recipe, plan.family, plan.data
    space = family.space()
    costs = family.costs(space.encode([space.min(), space.max()]))
    sizes = " / ".join(f"{split.name} {len(split)}" for split in (data.train, data.validation, data.test))
    typer.echo(
        f"data      {data.name}: {sizes} examples, {counted(len(data.classes), 'class')}, task {plan.task.name}"
    )
    typer.echo(
        f"space     {space.size():.3g} subnets, {costs[PARAMS][0]:,.0f} to {costs[PARAMS][1]:,.0f} parameters"
    )
    typer.echo(f"          {costs[MACS][0] / 1e6:.3g} to {costs[MACS][1] / 1e6:.3g} million MACs")
    training = start(plan, device=device)
    train_step(training)
    began = time.monotonic()
    for _ in range(DRY_STEPS):
        train_step(training)
    per_step = (time.monotonic() - began) / DRY_STEPS
    typer.echo(
        f"recipe    {recipe.name}: {counted(recipe.steps, 'step')} of {recipe.batch_size} examples, "
        f"{per_step:.2f} s a step now"
    )
    cost = estimate(recipe, family, data, seed=plan.seed, external=plan.teacher is not None)
    per_pass = per_step / (training.billed / training.step)
    typer.echo(
        f"cost      {cost.billed:,.0f} subnet passes, {cost.macs_per_step / 1e9:.3g} billion MACs a step on average"
    )
    typer.echo(f"memory    about {cost.memory_mb or 0:,.0f} MB: weights, gradients, activations and examples")
    typer.echo(f"training  about {duration(per_pass * cost.billed)} on this machine's {described(device)}")
