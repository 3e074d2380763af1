"""The only training loop. It knows parts of recipes, never a method."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save as save_safetensors
from torch import Tensor, nn

from supernets.checkpoints import read_tensors, write_bytes
from supernets.data import DataSet, augment, batch_indices, prepare, step_generator
from supernets.elastic.active import ElasticModel, use
from supernets.errors import CheckpointError, DataError, TrainingError
from supernets.evaluate import evaluate_net
from supernets.families.family import Family
from supernets.recipes.parts import Item, Loss
from supernets.recipes.recipe import Recipe

STATE_FILE = "training.safetensors"
STATE_INFO = "training.json"
METRICS_FILE = "metrics.jsonl"
LOG_EVERY = 50


@dataclass(frozen=True)
class Progress:
    """Where a training stands; ``losses`` by role, ``accuracy`` of ``smallest`` and ``largest`` on validation."""

    step: int
    steps: int
    passes: int
    lr: float
    losses: dict[str, float]
    accuracy: dict[str, float]
    seconds: float
    passes_per_second: float
    eta_s: float


@dataclass
class Training:
    """A training between two steps: what a checkpoint holds, and what the next stage resumes from."""

    recipe: Recipe
    family: Family
    data: DataSet
    seed: int
    net: ElasticModel
    optimizer: torch.optim.Optimizer
    step: int = 0
    passes: int = 0
    seconds: float = 0.0
    stages: tuple[dict[str, Any], ...] = ()

    @property
    def finished(self) -> bool:
        """Whether all steps of the recipe are done."""
        return self.step >= self.recipe.steps


def start(recipe: Recipe, family: Family, data: DataSet, seed: int) -> Training:
    """A training at step 0; the same arguments give the same weights."""
    if len(data.train) < recipe.batch_size:
        raise DataError(
            f"batch_size must be at most the {len(data.train)} training images, got {recipe.batch_size}"
        )
    fits = (
        family.num_classes == len(data.classes)
        and family.input_shape(family.space().max())[0] == data.channels
    )
    if not fits:
        raise DataError(
            f"the family must have {len(data.classes)} classes and {data.channels} image channels for {data.name!r}, "
            f"got {family.num_classes} and {family.input_shape(family.space().max())[0]}"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = family.build()
    if recipe.zero_init_residual:
        for norm in net.residual_norms():
            nn.init.zeros_(norm.weight)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Training(recipe, family, data, seed, net, _optimizer(recipe, net))


def _optimizer(recipe: Recipe, net: nn.Module) -> torch.optim.Optimizer:
    settings = recipe.optimizer
    decayed = [p for n, p in net.named_parameters() if p.ndim > 1 and not n.endswith("_matrix")]
    free = [p for n, p in net.named_parameters() if p.ndim <= 1 or n.endswith("_matrix")]
    return torch.optim.SGD(
        [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": free, "weight_decay": 0.0}],
        lr=settings.lr,
        momentum=settings.momentum,
        nesterov=settings.momentum > 0,
    )


def learning_rate(recipe: Recipe, step: int) -> float:
    """Learning rate of step ``step``, a pure function of the recipe."""
    schedule, peak = recipe.schedule, recipe.optimizer.lr
    if step < schedule.warmup_steps:
        return peak * (step + 1) / schedule.warmup_steps
    done = (step - schedule.warmup_steps) / max(1, recipe.steps - schedule.warmup_steps)
    return peak * (schedule.floor + (1 - schedule.floor) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))


def train_step(training: Training) -> dict[str, float]:
    """One optimizer step: run the plan's items on one batch and apply the sum of their gradients.

    Returns the loss of each role. Batch, plan and dropout are functions of (seed, step), so a resumed
    training continues with the very losses it would have had.
    """
    recipe, net, step = training.recipe, training.net, training.step
    loss_of = recipe.make_loss()
    images, labels = _batch(training)
    plan = recipe.make_sampler().plan(
        training.family.space(), step, np.random.default_rng([training.seed, step])
    )
    rate = learning_rate(recipe, step)
    for group in training.optimizer.param_groups:
        group["lr"] = rate
    _zero_gradients(net)
    net.train()
    bank: dict[str, Tensor] = {}
    prepared: dict[int, Tensor] = {}
    losses = {}
    with torch.random.fork_rng(devices=[], enabled=recipe.dropout > 0):
        torch.manual_seed(training.seed * 1_000_003 + step)
        for item in plan:
            resolution = training.family.input_shape(item.arch)[1]
            if resolution not in prepared:
                view = prepare(images, resolution, training.data.mean, training.data.std)
                prepared[resolution] = view.contiguous(memory_format=torch.channels_last)
            losses[item.role] = _run_item(training, item, loss_of, prepared[resolution], labels, bank)
    if recipe.optimizer.clip_norm is not None:
        nn.utils.clip_grad_norm_(net.parameters(), recipe.optimizer.clip_norm)
    training.optimizer.step()
    training.step += 1
    training.passes += len(plan)
    return losses


def _zero_gradients(net: nn.Module) -> None:
    """Zeros, never ``None``: a weight that no item used must keep its momentum, after a resume too."""
    for parameter in net.parameters():
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        else:
            parameter.grad.zero_()


def _batch(training: Training) -> tuple[Tensor, Tensor]:
    split, recipe = training.data.train, training.recipe
    chosen = batch_indices(len(split), recipe.batch_size, training.seed, training.step)
    generator = step_generator(training.seed, training.step)
    images = augment(split.images[chosen], generator, recipe.augment.pad, recipe.augment.flip)
    return images, split.labels[chosen]


def _run_item(
    training: Training, item: Item, loss_of: Loss, images: Tensor, labels: Tensor, bank: dict[str, Tensor]
) -> float:
    """Forward and backward of one item; gradients add up in the parameters."""
    dropout = training.recipe.dropout if item.regularise else 0.0
    with use(training.net, item.arch, dropout=dropout) as net:
        logits = net(images)
        bank[item.role] = logits.detach()
        loss: Tensor = loss_of(item, logits, labels, bank)
    value = float(loss.detach())
    if not math.isfinite(value):
        raise TrainingError(
            f"the loss of item {item.role!r} is {value} at step {training.step} (arch {item.arch.as_dict()}); "
            f"{_first_bad(training.net)}; lower optimizer.lr or set optimizer.clip_norm. The last checkpoint is kept."
        )
    (loss * item.weight).backward()  # type: ignore[no-untyped-call]
    return value


def _first_bad(net: nn.Module) -> str:
    for name, parameter in net.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            return f"first weight that is not finite: {name!r}"
    return "all weights are finite, the activations are not"


def train(
    recipe: Recipe,
    family: Family,
    data: DataSet,
    out_dir: Path,
    *,
    seed: int = 0,
    until_step: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    checkpoint_every: int = 500,
    evaluate_every: int = 1000,
) -> Training:
    """Train to the end of the recipe, or to ``until_step``, resuming whatever ``out_dir`` holds.

    Writes ``metrics.jsonl`` and, every ``checkpoint_every`` steps and at the end, a state from which a
    later call continues bit for bit. Raises ``TrainingError`` when a loss is not a number.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    training = start(recipe, family, data, seed)
    if (out_dir / STATE_INFO).is_file():
        restore(training, out_dir)
    last = recipe.steps if until_step is None else min(until_step, recipe.steps)
    first, sums, counted, accuracy = training.step, dict[str, float](), 0, dict[str, float]()
    stage_seconds, began = training.seconds, time.monotonic()
    while training.step < last:
        for role, value in train_step(training).items():
            sums[role] = sums.get(role, 0.0) + value
        counted += 1
        training.seconds = stage_seconds + time.monotonic() - began
        if training.step % evaluate_every == 0 or training.step == last:
            accuracy = ends(training)
        if training.step % LOG_EVERY == 0 or training.step == last:
            losses = {role: total / counted for role, total in sums.items()}
            report = _progress(training, losses, accuracy, last, first, time.monotonic() - began)
            _log(out_dir, report)
            sums, counted, accuracy = {}, 0, {}
            if progress:
                progress(report)
        if training.step % checkpoint_every == 0 or training.step == last:
            if training.step == last and last > first:
                stage = {
                    "first_step": first,
                    "last_step": last,
                    "seconds": round(time.monotonic() - began, 1),
                }
                training.stages = (*training.stages, stage)
            save(training, out_dir)
    return training


def ends(training: Training) -> dict[str, float]:
    """Validation accuracy of the smallest and the largest subnet."""
    space = training.family.space()
    return {
        name: evaluate_net(training.net, training.data, arch, "validation").value
        for name, arch in (("smallest", space.min()), ("largest", space.max()))
    }


def _progress(
    training: Training,
    losses: dict[str, float],
    accuracy: dict[str, float],
    last: int,
    first: int,
    elapsed: float,
) -> Progress:
    per_step = elapsed / max(1, training.step - first)
    return Progress(
        step=training.step,
        steps=training.recipe.steps,
        passes=training.passes,
        lr=learning_rate(training.recipe, training.step - 1),
        losses=losses,
        accuracy=accuracy,
        seconds=training.seconds,
        passes_per_second=training.passes / max(training.step, 1) / max(per_step, 1e-9),
        eta_s=per_step * (last - training.step),
    )


def _log(out_dir: Path, report: Progress) -> None:
    with (out_dir / METRICS_FILE).open("a") as file:
        file.write(json.dumps(asdict(report)) + "\n")


# --- checkpoints -----------------------------------------------------------------------------------


def save(training: Training, out_dir: Path) -> None:
    """Write the state of ``training``; the description comes last, so a torn write is never resumed."""
    tensors = {f"net.{name}": t.contiguous().clone() for name, t in training.net.state_dict().items()}
    for index, slots in training.optimizer.state_dict()["state"].items():
        for slot, value in slots.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{slot}"] = value.contiguous().clone()
    name = f"training-{training.step}.safetensors"
    write_bytes(out_dir / name, save_safetensors(tensors))
    info = {
        "file": name,
        "step": training.step,
        "passes": training.passes,
        "seconds": training.seconds,
        "stages": list(training.stages),
        "identity": _identity(training),
    }
    write_bytes(out_dir / STATE_INFO, json.dumps(info, indent=1).encode() + b"\n")
    for old in out_dir.glob("training-*.safetensors"):
        if old.name != name:
            old.unlink()


def _identity(training: Training) -> dict[str, Any]:
    """What a state must agree in to be resumed."""
    return {
        "recipe": training.recipe.sha256,
        "family": training.family.name,
        "space": training.family.space().sha256,
        "train": training.data.train.sha256,
        "seed": training.seed,
    }


def restore(training: Training, out_dir: Path) -> None:
    """Bring ``training`` to the state in ``out_dir``; one of another recipe, space, data or seed is refused."""
    info = json.loads((out_dir / STATE_INFO).read_text())
    own = _identity(training)
    different = sorted(key for key in own if info["identity"].get(key) != own[key])
    if different:
        raise CheckpointError(
            f"the training in {out_dir.name!r} has another {' and '.join(different)}; "
            f"choose an empty folder, or resume with the same"
        )
    tensors = read_tensors(out_dir / info["file"])
    training.net.load_weights({k.removeprefix("net."): v for k, v in tensors.items() if k.startswith("net.")})
    state = training.optimizer.state_dict()
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, index, slot = key.split(".", 2)
            state["state"].setdefault(int(index), {})[slot] = value
    training.optimizer.load_state_dict(state)
    training.step, training.passes = info["step"], info["passes"]
    training.seconds, training.stages = info["seconds"], tuple(info["stages"])
    _forget_metrics(out_dir, training.step)


def _forget_metrics(out_dir: Path, step: int) -> None:
    """Drop log lines of steps after the checkpoint: they will be done again."""
    path = out_dir / METRICS_FILE
    if path.is_file():
        kept = [
            line
            for line in path.read_text().splitlines()
            if line.strip() and json.loads(line)["step"] <= step
        ]
        write_bytes(path, "".join(f"{line}\n" for line in kept).encode())
