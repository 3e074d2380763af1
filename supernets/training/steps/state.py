"""Trainings on disk: a state from which a later call continues bit for bit."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as save_safetensors
from torch import Tensor

from supernets import FAMILIES
from supernets.checkpoints import read_tensors, write_bytes
from supernets.errors import CheckpointError
from supernets.records import SittingRecord
from supernets.spaces.coupled import within
from supernets.training.steps.growing import become
from supernets.training.steps.training import Shard, Training, make_shard

STATE_FILE = "training.safetensors"
STATE_INFO = "training.json"
METRICS_FILE = "metrics.jsonl"


def save(training: Training, out_dir: Path) -> None:
    """Write the state of ``training``; the description comes last, so a torn write is never resumed."""
    tensors: dict[str, Tensor] = {}
    for index, shard in enumerate(training.shards):
        tensors |= _shard_tensors(shard, _prefix(index))
    if training.teacher is not None:
        tensors |= {f"teacher.{name}": value for name, value in training.teacher.state_dict().items()}
    parts = {}
    for label, part in training.parts().items():
        state = part.state()
        tensors |= {f"part.{label}.{key}": v for key, v in state.items() if isinstance(v, Tensor)}
        if values := {key: v for key, v in state.items() if not isinstance(v, Tensor)}:
            parts[label] = values
    name = f"training-{training.step}.safetensors"
    kept = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    write_bytes(out_dir / name, save_safetensors(kept))
    info = {
        "file": name,
        "step": training.step,
        "passes": training.passes,
        "forwards": training.forwards,
        "seconds": training.seconds,
        "sittings": [sitting.model_dump() for sitting in training.sittings],
        "family": {"family": training.family.name, "config": training.family.config()},
        "task": training.task.name,
        "stage": training.record().model_dump(),
        "earlier": [stage.model_dump() for stage in training.earlier],
        "identity": identity(training),
        "regions": [shard.region.allowed for shard in training.shards],
        "parts": parts,
        "unlogged": training.unlogged,
    }
    write_bytes(out_dir / STATE_INFO, json.dumps(info, indent=1).encode() + b"\n")
    for old in out_dir.glob("training-*.safetensors"):
        if old.name != name:
            old.unlink()


def _prefix(index: int) -> str:
    """Of the names of a shard's tensors; the first has none, as when there were no shards."""
    return f"shard{index}." if index else ""


def _shard_tensors(shard: Shard, prefix: str) -> dict[str, Tensor]:
    tensors = {f"{prefix}net.{name}": value for name, value in shard.net.state_dict().items()}
    if shard.average is not None:
        tensors |= {f"{prefix}average.{name}": v for name, v in shard.average.state_dict().items()}
    for index, slots in shard.optimizer.state_dict()["state"].items():
        for slot, value in slots.items():
            if isinstance(value, Tensor):
                tensors[f"{prefix}optimizer.{index}.{slot}"] = value
    return tensors


IN_WORDS = {"train": "set of training images (their hash)"}
"""How a message names the keys of :func:`identity` that are no words of their own."""


def identity(training: Training) -> dict[str, object]:
    """The values in which a state and a training must agree for a resume."""
    source = training.source
    return {
        "recipe": training.recipe.sha256,
        "family": training.family.name,
        "task": training.task.name,
        "space": (training.first_family or training.family).space().sha256,
        "train": training.data.train.sha256,
        "seed": training.seed,
        "source": None if source is None else {"sha256": source.sha256, "carried": source.carried},
        "teacher": None if training.external is None else training.external.sha256,
        "predictor": None if training.predictor is None else training.predictor.sha256,
    }


def restore(training: Training, out_dir: Path) -> None:
    """Bring ``training`` to the state in ``out_dir``; one that differs in its :func:`identity` is refused."""
    info = json.loads((out_dir / STATE_INFO).read_text())
    own = identity(training)
    different = sorted(key for key in own if info["identity"].get(key) != own[key])
    if different:
        raise CheckpointError(
            f"the training in {str(out_dir)!r} has another {' and '.join(IN_WORDS.get(key, key) for key in different)}"
            f"{_differences(training, info['stage'])}; choose an empty folder, or resume with the same"
        )
    tensors = read_tensors(out_dir / info["file"])
    _grown(training, info["family"])
    first = training.shards[0]
    regions = info.get("regions", [first.region.allowed])
    for _ in regions[1:]:
        net = copy.deepcopy(first.net)
        training.shards.append(make_shard(training.recipe, training.space, net))
    for index, (shard, allowed) in enumerate(zip(training.shards, regions, strict=True)):
        shard.region = within(training.space, allowed)
        _load_shard(shard, tensors, _prefix(index))
    if teacher := taken(tensors, "teacher."):
        training.teacher = copy.deepcopy(first.net).requires_grad_(False).train()
        training.teacher.load_weights(teacher)
    for label, part in training.parts().items():
        state = info.get("parts", {}).get(label, {}) | taken(tensors, f"part.{label}.")
        if state:
            part.restore(state)
    training.step, training.passes = info["step"], info["passes"]
    training.forwards = info.get("forwards", 0)
    training.seconds, training.sittings = (
        info["seconds"],
        tuple(SittingRecord.model_validate(each) for each in info["sittings"]),
    )
    training.unlogged = info.get("unlogged", {})


def _grown(training: Training, family: Mapping[str, Any]) -> None:
    """Make the network as large as it had become, where it has grown."""
    own = {"family": training.family.name, "config": training.family.config()}
    if json.dumps(own, sort_keys=True) == json.dumps(family, sort_keys=True):
        return
    with torch.random.fork_rng(devices=[]):
        net = FAMILIES.load(family["family"]).from_config(family["config"]).build()
    trained = {name: each.requires_grad for name, each in training.net.named_parameters()}
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(trained.get(name, parameter.requires_grad))
    become(training, net)


def _differences(training: Training, stage: Mapping[str, Any]) -> str:
    """Differing values of recipe and seed as a message; empty where neither differs."""
    there = {**stage["recipe"], "seed": stage["seed"]}
    here = {**training.recipe.as_json(), "seed": training.seed}
    different = [key for key in here if there.get(key) != here[key]]
    words = ", ".join(f"{key} is {there.get(key)} there, {here[key]} here" for key in different)
    return f" ({words})" if words else ""


def taken(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix``, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _load_shard(shard: Shard, tensors: dict[str, Tensor], prefix: str) -> None:
    shard.net.load_weights(taken(tensors, f"{prefix}net."))
    if shard.average is not None:
        shard.average.load_weights(taken(tensors, f"{prefix}average."))
    load_momentum(shard, taken(tensors, f"{prefix}optimizer."))


def load_momentum(shard: Shard, slots: Mapping[str, Tensor]) -> None:
    """Give the optimizer the state of another one for the same network; its settings stay its own."""
    state = shard.optimizer.state_dict()
    for key, value in slots.items():
        index, slot = key.split(".", 1)
        # a copy: the optimizer keeps its argument and changes it
        state["state"].setdefault(int(index), {})[slot] = value.clone()
    shard.optimizer.load_state_dict(state)


def begin_metrics(training: Training, out_dir: Path) -> None:
    """Cut the log to this step: keep the lines of earlier stages, drop those of steps that will be repeated."""
    path = out_dir / METRICS_FILE
    kept = list(training.earlier_metrics) if training.step == 0 else []
    if training.step and path.is_file():
        lines = [line for line in path.read_text().splitlines() if line.strip()]
        kept = [line for line in lines if _place(line) <= (training.stage, training.step)]
    if kept or path.is_file():
        write_bytes(path, "".join(f"{line}\n" for line in kept).encode())


def _place(line: str) -> tuple[int, int]:
    row = json.loads(line)
    return row["stage"], row["step"]
