"""What ``netwright train`` and ``netwright card`` do here, without a server."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from netwright.errors import NetwrightError
from netwright.installed import server_packages
from netwright.processes import first_signal_asks
from netwright.progress import Show, Shown, bar, duration, steps

if TYPE_CHECKING:
    import torch

    from supernets.data import DataSet
    from supernets.families.family import Family
    from supernets.recipes.recipe import Recipe
    from supernets.training.further import Source
    from supernets.training.teacher import ExternalTeacher

CHECKPOINT_SECONDS = 30.0
DRY_STEPS = 3
INTERRUPTED = 130
"""Exit status after Ctrl-C, as of any command."""
STOPPING = (
    "finishing this step, then saving; Ctrl-C again stops at once, and goes on from the last checkpoint"
)


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """What ``netwright train`` was asked for; ``family`` is a file, ``recipe`` a file or a name.

    With a ``source``, a folder, family, data and seed may be left to it.
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
    until_step: int | None
    seed: int | None
    threads: int
    device: str
    dry_run: bool


def train(plan: TrainingPlan) -> None:
    """Train, resume, or with ``dry_run`` only say what it would take; a finished training becomes a supernet."""
    with server_packages():
        import torch

        from supernets.data import load_data
        from supernets.device import choose
        from supernets.recipes.recipe import Recipe
        from supernets.training.finish import finish
        from supernets.training.further import read_source
        from supernets.training.loop import train as run
        from supernets.training.teacher import read_teacher

        torch.set_num_threads(plan.threads)
        _check_plan(plan)
        device = choose(plan.device)
        source = read_source(plan.source) if plan.source is not None else None
        data = load_data(plan.data or (source.stages[-1].data.name if source is not None else ""))
        family = source.family if source is not None else None
        if plan.family is not None or family is None:
            assert plan.family is not None
            family = _family(plan.family, data)
        _show_data(data, family, whole=plan.dry_run)
        recipe = Recipe.read(plan.recipe)
        if plan.steps:
            recipe = recipe.with_steps(plan.steps)
        following = 0 if source is None else source.stages[-1].seed + 1
        seed = following if plan.seed is None else plan.seed
        teacher = read_teacher(plan.teacher, device) if plan.teacher is not None else None
        if plan.dry_run:
            _foretell(recipe, family, data, seed, source, teacher, device)
            return
        state = plan.out / "training"
        last = min(plan.until_step or recipe.steps, recipe.steps)
        with bar(f"training {plan.name}") as show, first_signal_asks(STOPPING) as asked:
            training = run(
                recipe,
                family,
                data,
                state,
                seed=seed,
                until_step=plan.until_step,
                stop=asked,
                checkpoint_seconds=CHECKPOINT_SECONDS,
                progress=_told(show, last),
                device=device,
                source=source,
                momentum=plan.momentum,
                teacher=teacher,
            )
        if not training.finished:
            typer.echo(
                f"stopped at step {training.step} of {recipe.steps}; the same command goes on from here"
            )
            if training.step < last:
                raise typer.Exit(INTERRUPTED)
            return
        try:
            with bar("report card") as show:
                finish(training, plan.name, state, plan.out, _counted(show))
        except KeyboardInterrupt as stop:
            stop.add_note("the training is done and kept; the same command makes the report card")
            raise
    typer.echo((plan.out / "report.md").read_text())
    typer.echo(
        f"{plan.out} is a supernet: copy it below NETWRIGHT_IMPORT_DIR and `netwright supernets add --path`"
    )


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
        target = CpuTarget(CpuSettings(threads=threads))
        with bar("report card") as show:
            images = load_data(data or supernet.manifest.data.name)
            front = card_front(supernet, images, target, subnets=subnets, progress=steps(show))
        add_front(folder, front)
    typer.echo((folder / "report.md").read_text())


def _check_plan(plan: TrainingPlan) -> None:
    if plan.source is None and (plan.family is None or plan.data is None or plan.momentum):
        raise NetwrightError(
            "--family and --data must be given, and --momentum not, unless there is a --from"
        )
    if plan.source is not None and plan.source.resolve() == plan.out.resolve():
        raise NetwrightError(f"--out must be another folder than --from, got {plan.out} for both")


def _show_data(data: DataSet, family: Family, whole: bool) -> None:
    """The data report of a user's own images: ``whole``, or its warnings alone."""
    from netwright.commands.data_report import report_sections
    from netwright.commands.output import show
    from supernets.training.sizes import resolution_problems

    if data.report is not None:
        report = data.report.model_copy(
            update={"problems": [*data.report.problems, *resolution_problems(data.report, family)]}
        )
        if whole:
            show({}, report_sections(report.model_dump(mode="json")), as_json=False)
        else:
            for problem in report.warnings:
                typer.echo(f"warning: {problem.message}", err=True)


def _told(show: Show, last: int) -> Callable[[Any], None]:
    """The last accuracies stay in sight."""
    quality: dict[str, float] = {}

    def tell(progress: Any) -> None:
        quality.update(progress.quality)
        words = replace(progress, quality=quality).words()
        show(Shown(f"epoch {progress.epoch:.1f} | {words}", progress.step, last, progress.eta_s))

    return tell


def _counted(show: Show) -> Callable[[int, int], None]:
    return lambda done, total: show(Shown("evaluating subnets", done, total))


def _family(path: Path, data: DataSet) -> Family:
    """The family of a TOML file, fitted to the classes and channels of the data."""
    from supernets import FAMILIES

    try:
        config = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise NetwrightError(
            f"--family must be a TOML file such as zoo/digits/family.toml: {error}"
        ) from error
    kind = config.pop("family", "mobilenet_v3")
    fitted = {**config, "num_classes": len(data.classes), "image_channels": data.channels}
    family: Family = FAMILIES.load(kind).from_config(fitted)
    return family


def _foretell(
    recipe: Recipe,
    family: Family,
    data: DataSet,
    seed: int,
    source: Source | None,
    teacher: ExternalTeacher | None,
    device: torch.device,
) -> None:
    """Say what would be trained, and how long it would take, from a few real steps that leave no trace."""
    import time

    from supernets.device import described
    from supernets.training.estimate import estimate
    from supernets.training.further import go_on
    from supernets.training.loop import start, train_step

    space = family.space()
    costs = family.costs(space.encode([space.min(), space.max()]))
    sizes = " / ".join(f"{split.name} {len(split)}" for split in (data.train, data.validation, data.test))
    typer.echo(f"data      {data.name}: {sizes} images, {len(data.classes)} classes")
    typer.echo(
        f"space     {space.size():.3g} subnets, {costs['params'][0]:,.0f} to {costs['params'][1]:,.0f} parameters"
    )
    typer.echo(f"          {costs['macs'][0] / 1e6:.3g} to {costs['macs'][1] / 1e6:.3g} million MACs")
    training = start(recipe, family, data, seed, device=device, teacher=teacher)
    if source is not None:
        go_on(training, source)
    train_step(training)
    began = time.monotonic()
    for _ in range(DRY_STEPS):
        train_step(training)
    per_step = (time.monotonic() - began) / DRY_STEPS
    typer.echo(
        f"recipe    {recipe.name}: {recipe.steps} steps of {recipe.batch_size} images, {per_step:.2f} s a step now"
    )
    told = estimate(recipe, family, data, seed=seed, external=teacher is not None)
    per_pass = per_step / (training.billed / training.step)
    typer.echo(
        f"cost      {told.billed:,.0f} subnet passes, {told.macs_per_step / 1e9:.3g} billion MACs a step on average"
    )
    typer.echo(f"memory    about {told.memory_mb or 0:,.0f} MB: weights, gradients, activations and images")
    typer.echo(f"training  about {duration(per_pass * told.billed)} on this machine's {described(device)}")
