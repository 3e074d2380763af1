"""The only training loop. It runs the parts of a recipe and contains no method."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from supernets.data import step_generator
from supernets.device import described, exact
from supernets.elastic.active import ElasticModel, use
from supernets.errors import TrainingError
from supernets.evaluate import evaluate_net
from supernets.recipes.parts import AVERAGE, TEACHER, Item, ItemGradients, Moment, Update
from supernets.records import SittingRecord
from supernets.spaces.space import Arch
from supernets.tasks.task import Batch
from supernets.training.plan import TrainingPlan
from supernets.training.start import start
from supernets.training.steps.faults import REMEDY, explained, first_bad, not_finite
from supernets.training.steps.log import Log, Progress
from supernets.training.steps.processes import Processes
from supernets.training.steps.pruning import PruningView, change
from supernets.training.steps.schedule import average_decay, learning_rate
from supernets.training.steps.state import METRICS_FILE, STATE_FILE, STATE_INFO, begin_metrics, restore, save
from supernets.training.steps.step_view import StepView
from supernets.training.steps.structure import apply
from supernets.training.steps.training import Shard, Training

__all__ = [
    "METRICS_FILE",
    "STATE_FILE",
    "STATE_INFO",
    "Progress",
    "RunOptions",
    "Training",
    "ends",
    "start",
    "train",
    "train_step",
]
LOG_EVERY = 50


# --- one step --------------------------------------------------------------------------------------


def train_step(training: Training) -> dict[str, float]:
    """One optimizer step: run the plan's items on one batch and apply the sum of their gradients.

    Returns the loss of each role. Batch, plan and dropout are functions of (seed, step) and of what the
    checkpoint holds, so a resumed training continues with the very losses it would have had.
    """
    with exact(training.device):
        return _train_step(training)


def _train_step(training: Training) -> dict[str, float]:
    for controller in training.controllers:
        for event in controller.observe(StepView(training)):
            apply(event, training)
    recipe, shard, step = training.recipe, training.shard, training.step
    batch = _batch(training)
    plan = _plan(training, shard)
    rate = learning_rate(recipe, step)
    for group in shard.optimizer.param_groups:
        group["lr"] = rate
    _zero_gradients(shard)
    if not shard.net.training:
        shard.net.train()
    drawn_on = [training.device] if training.device.type == "cuda" else []
    with torch.random.fork_rng(devices=drawn_on, enabled=recipe.dropout > 0):
        if recipe.dropout > 0:
            torch.manual_seed(training.seed * 1_000_003 + step + training.processes.rank * 1_000_000_007)
        with explained(recipe.batch_size):
            losses = _run(training, shard, plan, batch)
    if recipe.optimizer.clip_norm is not None:
        nn.utils.clip_grad_norm_(shard.parameters, recipe.optimizer.clip_norm)
    pruning = None if training.pruner is None else PruningView(training, batch, rate)
    if training.pruner is not None and pruning is not None:
        change(training.pruner.before(pruning), shard)
    shard.optimizer.step()
    if training.pruner is not None and pruning is not None:
        change(training.pruner.after(pruning), shard)
    decay = average_decay(recipe, step)
    if shard.average is not None and decay is not None:
        _follow(shard.average, shard.net, decay)
    training.loss.update(Update(rate, decay, recipe.optimizer.clip_norm, training.processes.average))
    rng = np.random.default_rng([training.seed, step, 1])
    training.sampler.observe(StepView(training), losses, rng)
    training.step += 1
    return losses


def _batch(training: Training) -> Batch:
    recipe, part = training.recipe, training.processes.part(training.recipe.batch_size)
    stored, labels = training.data.train.batch(recipe.batch_size, training.seed, training.step, part)
    generator = step_generator(training.seed, training.step)
    views, whole = training.sampler.views, training.sampler.views - training.sampler.local
    first, *further = (
        training.task.augment(
            stored,
            generator,
            **recipe.augment.options(local=view >= whole),
            of=recipe.batch_size,
            part=part,
        )
        for view in range(views)
    )
    return training.batch(first, labels, *further)


def _plan(training: Training, shard: Shard) -> tuple[Item, ...]:
    """The sampler's plan for the open region; one item where the region is one subnet.

    An item with targets from the teacher uses the labels while there is no teacher.
    """
    rng = np.random.default_rng([training.seed, training.step])
    plan = training.sampler.plan(shard.region, training.step, rng)
    if shard.region.size() == 1:
        plan = plan[:1]
    if training.teacher is None and training.external is None:
        plan = tuple(replace(i, targets_from=None) if i.targets_from == TEACHER else i for i in plan)
    return plan


def _zero_gradients(shard: Shard) -> None:
    """Zeros, never ``None``: a weight that no item used must keep its momentum, after a resume too."""
    for parameter in shard.parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    torch._foreach_zero_([parameter.grad for parameter in shard.parameters if parameter.grad is not None])


def _run(training: Training, shard: Shard, plan: tuple[Item, ...], batch: Batch) -> dict[str, float]:
    """Forward and backward of all items; afterwards the parameters hold the step's gradient."""
    moment = Moment(training.step, training.recipe.steps, lambda s: learning_rate(training.recipe, s))
    apart = next((hook for hook in training.hooks if hook.per_item), None)
    if shard.module is None:
        shard.module = training.processes.wrap(shard.net)
    bank: dict[str, Tensor] = {}
    losses, parts = {}, []
    for place, item in enumerate(plan, start=1):
        item = _chosen(training, shard, item, batch)
        weight = item.weight * math.prod(hook.weight(item, moment) for hook in training.hooks)
        with training.processes.synchronise(shard.module, apart is None and place == len(plan)):
            loss = _item_loss(training, shard, item, batch, bank)
            losses[item.role] = _finite(training, shard, item, loss, batch)
            (loss * (weight if apart is None else 1.0)).backward()  # type: ignore[no-untyped-call]
        if apart is not None:
            masks = training.masks(item.arch) if apart.needs_masks else {}
            parts.append(ItemGradients(item, weight, _taken(shard.net), masks))
    if apart is not None:
        combined = apart.combine(parts)
        training.processes.average(list(combined.values()))
        for name, parameter in shard.net.named_parameters():
            if parameter.requires_grad:
                parameter.grad = combined[name]
    training.passes += len(plan)
    means = training.processes.mean(list(losses.values()), training.device)
    return dict(zip(losses, means, strict=True))


def _chosen(training: Training, shard: Shard, item: Item, batch: Batch) -> Item:
    """The item with its best or worst candidate on this batch as arch; every process chooses the same."""
    if not item.candidates:
        return item
    right = batch.targets
    with torch.no_grad():
        found = [
            float(
                training.task.loss(
                    _forward(training, shard.net, shard.net, arch, batch, view=item.view), right
                )
            )
            for arch in item.candidates
        ]
    found = training.processes.mean(found, training.device)
    training.forwards += len(found)
    best = int(np.argmin(found) if item.pick == "best" else np.argmax(found))
    return replace(item, arch=item.candidates[best], candidates=())


def _item_loss(training: Training, shard: Shard, item: Item, batch: Batch, bank: dict[str, Tensor]) -> Tensor:
    """Mean loss of one item on the batch; its detached output joins the bank."""
    if item.targets_from == TEACHER:
        bank[TEACHER] = _teach(training, item.arch, batch, bank)
    elif item.targets_from == AVERAGE and AVERAGE not in bank:
        bank[AVERAGE] = _averaged(training, shard, batch)
    dropout = training.recipe.dropout if item.regularise else 0.0
    assert shard.module is not None
    outputs = _forward(training, shard.net, shard.module, item.arch, batch, dropout, item.view)
    bank[item.role] = outputs.detach()
    return training.loss(training.task, item, outputs, batch.targets, bank)


def _forward(
    training: Training,
    net: ElasticModel,
    module: nn.Module,
    arch: Arch,
    batch: Batch,
    dropout: float = 0.0,
    view: int = 0,
) -> Tensor:
    """Outputs in fp32 of ``arch`` for a view of the batch, by the view's own statistics."""
    autocast: AbstractContextManager[object] = nullcontext()
    if training.recipe.precision == "bf16":
        autocast = torch.autocast(training.device.type, dtype=torch.bfloat16)
    with use(net, arch, dropout=dropout, norm=training.processes.norm), autocast:
        outputs: Tensor = module(*batch.at(arch, view))
    return outputs.float()


def _teach(training: Training, arch: Arch, batch: Batch, bank: dict[str, Tensor]) -> Tensor:
    """Outputs of the teacher's largest arch among those that read the inputs of ``arch``; once for each.

    An external teacher prepares the examples itself and runs once a step.
    """
    if training.external is not None:
        if TEACHER not in bank:
            bank[TEACHER] = training.external(batch.stored).to(training.device)
            training.forwards += 1
        return bank[TEACHER]
    assert training.teacher is not None
    largest = training.family.largest_like(arch)
    key = f"{TEACHER}@{largest.id}"
    if key not in bank:
        with torch.no_grad():
            bank[key] = _forward(training, training.teacher, training.teacher, largest, batch)
        training.forwards += 1
    return bank[key]


def _averaged(training: Training, shard: Shard, batch: Batch) -> Tensor:
    """Outputs of the averaged weights' largest arch for view 0."""
    assert shard.average is not None
    shard.average.train()
    with torch.no_grad():
        found = _forward(training, shard.average, shard.average, shard.region.max(), batch)
    training.forwards += 1
    return found


def _taken(net: nn.Module) -> dict[str, Tensor]:
    """The gradients that one item left, which are then zero again."""
    found = {}
    for name, parameter in net.named_parameters():
        if not parameter.requires_grad:
            continue
        assert parameter.grad is not None
        found[name] = parameter.grad.clone()
        parameter.grad.zero_()
    return found


def _finite(training: Training, shard: Shard, item: Item, loss: Tensor, batch: Batch) -> float:
    value = float(loss.detach())
    if not math.isfinite(value):
        raise TrainingError(
            f"the loss of item {item.role!r} is {value} at step {training.step} (arch {item.arch.as_dict()}); "
            f"{first_bad(shard.net, item.arch, batch.at(item.arch))}; "
            f"{REMEDY}"
        )
    return value


@torch.no_grad()
def _follow(average: nn.Module, net: nn.Module, decay: float) -> None:
    for mean, value in zip(average.parameters(), net.parameters(), strict=True):
        mean.lerp_(value, 1 - decay)


# --- all steps -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RunOptions:
    """How a training runs; nothing here changes a loss.

    Attributes:
        until_step: stop after this step; the end of the recipe if None.
        progress: called about once a second.
        checkpoint_every: steps between checkpoints.
        checkpoint_seconds: also write one after this many seconds, where there is one process.
        stop: called after each step; training stops where it returns true, and can be resumed there. Not for
            several processes.
        evaluate_every: steps between evaluations of the smallest and the largest subnet.
        device: ``cpu`` or a GPU.
        processes: of ``torchrun``; the first one writes.
    """

    until_step: int | None = None
    progress: Callable[[Progress], None] | None = None
    checkpoint_every: int = 500
    checkpoint_seconds: float | None = None
    stop: Callable[[], bool] | None = None
    evaluate_every: int = 1000
    device: str | torch.device = "cpu"
    processes: Processes = field(default_factory=Processes)


def train(plan: TrainingPlan, out_dir: Path, options: RunOptions = RunOptions()) -> Training:
    """Train to the end of the recipe, or to ``until_step``, resuming what ``out_dir`` holds.

    Writes ``metrics.jsonl`` and checkpoints, from which a later call continues bit for bit (on a GPU: of the same
    kind).

    Raises:
        TrainingError: a loss or a weight is not a number; no such state is written.
        CheckpointError: ``out_dir`` holds the state of another training.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    training = start(plan, device=options.device, processes=options.processes)
    if (out_dir / STATE_INFO).is_file():
        restore(training, out_dir)
    first_process = training.processes.first
    if first_process:
        begin_metrics(training, out_dir)
    training.processes.wait()
    steps = plan.recipe.steps
    last = steps if options.until_step is None else min(options.until_step, steps)
    log = Log(training, out_dir, last, options.progress if first_process else None)
    ended = False
    while training.step < last and not ended:
        with _naming_the_checkpoint(out_dir):
            log.add(train_step(training))
        ended = training.step == last or (options.stop is not None and options.stop())
        _report(training, log, options, last)
        if ended:
            _end_sitting(training, log)
        if ended or _late(log, options) or training.step % options.checkpoint_every == 0:
            _keep(training, out_dir, log)
    return training


def _late(log: Log, options: RunOptions) -> bool:
    alone = options.processes.size == 1 and bool(options.checkpoint_seconds)
    return alone and log.unsaved > (options.checkpoint_seconds or math.inf)


def _report(training: Training, log: Log, options: RunOptions, last: int) -> None:
    """Evaluate, write a line and report, each at its own interval; the first process only."""
    if not training.processes.first:
        return
    due = training.step == last
    if due or training.step % options.evaluate_every == 0:
        log.quality = ends(training)
    if due or training.step % LOG_EVERY == 0:
        log.write()
    else:
        log.report()


def _end_sitting(training: Training, log: Log) -> None:
    sitting = SittingRecord(
        first_step=log.first,
        last_step=training.step,
        seconds=round(log.elapsed, 1),
        device=described(training.device),
    )
    training.sittings = (*training.sittings, sitting)


def _keep(training: Training, out_dir: Path, log: Log) -> None:
    """Replace the checkpoint, if training can be resumed from the present state."""
    with _naming_the_checkpoint(out_dir):
        if bad := not_finite(training):
            raise TrainingError(bad)
    if training.processes.first:
        save(training, out_dir)
        log.saved()
    training.processes.wait()


@contextmanager
def _naming_the_checkpoint(out_dir: Path) -> Iterator[None]:
    """Add the checkpoint from which training can be resumed to a failure."""
    try:
        yield
    except TrainingError as error:
        info = out_dir / STATE_INFO
        kept = "no checkpoint had been written yet"
        if info.is_file():
            kept = f"the checkpoint of step {json.loads(info.read_text())['step']} is kept"
        raise TrainingError(f"{error}; {kept}") from error


def ends(training: Training) -> dict[str, float]:
    """Validation quality of the smallest and the largest subnet of the recipe's space."""
    named = {"smallest": training.space.min(), "largest": training.space.max()}
    values = {
        arch: evaluate_net(training.result_of(arch), training.task, training.data, arch, "validation").value
        for arch in set(named.values())  # one where a subnet is fine-tuned
    }
    return {name: values[arch] for name, arch in named.items()}
