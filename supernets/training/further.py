"""Further stages: a new stage, with a recipe of its own, starts from the weights of an earlier training.

A stage has its own steps, schedule, seed and parts. It takes over weights, averaged weights if both recipes keep
them, and on request momentum. The manifest of the result records data and cost of every stage.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from supernets import FAMILIES
from supernets.checkpoints import read_tensors
from supernets.data.dataset import Expected
from supernets.errors import CheckpointError
from supernets.families.family import Family
from supernets.manifest import MANIFEST_FILE, WEIGHTS_FILE, Manifest
from supernets.official.nets import expected_of
from supernets.records import OriginRecord, StageRecord
from supernets.training.steps.state import METRICS_FILE, STATE_INFO, load_momentum, taken
from supernets.training.steps.teacher import refuse_mixed
from supernets.training.steps.training import Training

ORIGINAL = ("original", "converted")
"""Entries of a report card that describe the network as it came: further stages keep them."""
STATE_FOLDERS = ("training", "state", ".")
"""Places of a state: the folder of ``netwright train``, a supernet of the zoo, or the folder itself."""


@dataclass(frozen=True, eq=False)
class Source:
    """What an earlier training left: ``stages`` are its records, ``tensors`` named as in a training's state.

    ``sha256`` is that of the file the weights came from; ``metrics`` are the lines of its log. ``expected`` is what the
    network expects of images and ``original`` what is known of it as it came, where it was first trained elsewhere.
    """

    name: str
    family: Family
    task: str
    data: str
    stages: tuple[StageRecord, ...]
    tensors: Mapping[str, Tensor]
    sha256: str
    metrics: tuple[str, ...] = ()
    expected: Expected | None = None
    original: Mapping[str, Any] = field(default_factory=dict)


def read_source(directory: Path) -> Source:
    """The training in ``directory``: its last state where there is one, or else the finished supernet's weights.

    Raises ``CheckpointError`` where there is neither, where they are of two trainings, or after a split.
    """
    directory = Path(directory)
    manifest = Manifest.read(directory) if (directory / MANIFEST_FILE).is_file() else None
    folder = next((directory / f for f in STATE_FOLDERS if (directory / f / STATE_INFO).is_file()), None)
    if folder is None and manifest is None:
        raise CheckpointError(
            f"a training to continue must be a supernet ({MANIFEST_FILE}) or hold a state ({STATE_INFO}), "
            f"{directory.name!r} does not"
        )
    metrics = _metrics(directory, folder)
    expected = None if manifest is None else expected_of(manifest)
    original = {} if manifest is None else _original(manifest)
    if folder is None:
        assert manifest is not None
        return _finished(manifest, directory, metrics)
    info = json.loads((folder / STATE_INFO).read_text())
    refuse_split(directory.name, len(info.get("regions", [None])))
    stages = tuple(StageRecord.model_validate(stage) for stage in (*info["earlier"], info["stage"]))
    if manifest is not None and _identity(manifest.training.stages) != _identity(stages):
        raise CheckpointError(
            f"{directory.name!r} must hold the state of its supernet, but they are of two trainings; remove one"
        )
    family = FAMILIES.load(info["family"]["family"]).from_config(info["family"]["config"])
    if manifest is not None and manifest.make_family().config() != family.config():
        return _finished(manifest, directory, metrics)  # pruned: it has fewer channels than its training
    file = folder / info["file"]
    tensors = read_tensors(file)
    return Source(
        directory.name,
        family,
        info["task"],
        stages[-1].data.name,
        stages,
        tensors,
        hashlib.sha256(file.read_bytes()).hexdigest(),
        metrics,
        expected,
        original,
    )


def _finished(manifest: Manifest, directory: Path, metrics: tuple[str, ...]) -> Source:
    """The weights of a finished supernet."""
    refuse_split(manifest.name, len(manifest.shards))
    weights = read_tensors(directory / WEIGHTS_FILE, manifest.weights_sha256)
    return Source(
        manifest.name,
        manifest.make_family(),
        manifest.task,
        manifest.data.name,
        tuple(manifest.training.stages),
        {f"net.{name}": value for name, value in weights.items()},
        manifest.weights_sha256,
        metrics,
        expected_of(manifest),
        _original(manifest),
    )


def _original(manifest: Manifest) -> dict[str, object]:
    """The part of its report on the network that was converted."""
    return {name: manifest.report[name] for name in ORIGINAL if name in manifest.report}


def refuse_split(name: str, networks: int) -> None:
    """Refuse what has several networks, each for its part of the space."""
    if networks > 1:
        raise CheckpointError(
            f"a training that was split cannot be trained further as one: {name!r} has {networks} networks"
        )


def _identity(stages: Sequence[StageRecord]) -> list[tuple[object, ...]]:
    return [(s.recipe["sha256"], s.seed, s.steps, s.data.splits["train"]) for s in stages]


def _metrics(directory: Path, folder: Path | None) -> tuple[str, ...]:
    places = [directory, *([folder] if folder is not None else [])]
    found = next((p / METRICS_FILE for p in reversed(places) if (p / METRICS_FILE).is_file()), None)
    return tuple(found.read_text().splitlines()) if found is not None else ()


def go_on(training: Training, source: Source, *, momentum: bool = False) -> None:
    """Make the network of ``training``, at step 0, that of ``source``: a new stage begins.

    Without averaged weights in the new recipe it begins at the old average, the weights that were evaluated.
    Raises ``CheckpointError`` for another family or space, ``DataError`` where the splits of old and new mix.
    """
    _check_family(training.family, source)
    if training.task.name != source.task:
        raise CheckpointError(
            f"a stage must have the task of {source.name!r}, {source.task!r}, got {training.task.name!r}"
        )
    refuse_mixed(source.name, source.stages, training.data)
    shard = training.shards[0]
    net, average = taken(source.tensors, "net."), taken(source.tensors, "average.")
    carried = ["weights"]
    if shard.average is None:
        shard.net.load_weights(average or net)
    else:
        shard.net.load_weights(net)
        shard.average.load_weights(average or net)
        carried += ["average"] if average else []
    if momentum:
        slots = taken(source.tensors, "optimizer.")
        if not slots:
            raise CheckpointError(
                f"momentum lies in the state of a training only, and {source.name!r} has none; leave it out"
            )
        load_momentum(shard, slots)
        carried.append("momentum")
    training.earlier = source.stages
    training.source = OriginRecord(name=source.name, sha256=source.sha256, carried=carried)
    training.earlier_metrics = source.metrics
    training.original = dict(source.original)


def _check_family(family: Family, source: Source) -> None:
    if words := family.difference(source.family):
        raise CheckpointError(f"a stage must have the family of {source.name!r}: {words}")
