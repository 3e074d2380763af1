"""An external teacher: the largest net of another supernet, or an exported net, frozen."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from supernets import TASKS
from supernets.checkpoints import load_supernet
from supernets.data import DataSet, Facts
from supernets.elastic.active import Inputs, use
from supernets.errors import CheckpointError, DataError
from supernets.export.metadata import read_metadata
from supernets.export.runtime import session
from supernets.records import DataRecord, StageRecord
from supernets.tasks.task import Dimensions, Preprocessing, Task


@dataclass(frozen=True, eq=False)
class ExternalTeacher:
    """A frozen network with its own preprocessing; ``sha256`` is that of the file its weights came from.

    ``run`` maps prepared inputs to outputs. ``stages`` are the records of its training, where they are known.
    """

    name: str
    sha256: str
    task: Task
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    dimensions: Dimensions
    run: Callable[[Inputs], Tensor]
    stages: tuple[StageRecord, ...] = ()

    def __call__(self, stored: Tensor) -> Tensor:
        """Outputs for ``n`` examples as a data set stores them."""
        with torch.no_grad():
            return self.run(self.task.prepare(stored, self.preprocessing, self.dimensions))

    def check(self, task: Task, data: DataSet) -> None:
        """Refuse a teacher of another task, other classes or dimensions, and data it was not trained apart from."""
        refuse_foreign(self.name, self.task.name, self.classes, self.dimensions, task, data)
        refuse_mixed(self.name, self.stages, data)


def refuse_foreign(
    name: str,
    task_name: str,
    classes: Sequence[str],
    dimensions: Dimensions,
    task: Task,
    data: DataSet | Facts,
) -> None:
    """Refuse a teacher of another task, or of other classes or dimensions than the data, where those are stated."""
    if task_name != task.name:
        raise CheckpointError(f"a teacher must be of task {task.name!r}, {name!r} is of {task_name!r}")
    if data.classes is not None and len(classes) != len(data.classes):
        raise CheckpointError(
            f"a teacher must have the {len(data.classes)} classes of {data.name!r}, {name!r} has {len(classes)}"
        )
    if data.classes is not None and tuple(classes) != data.classes:
        own, required = next(pair for pair in zip(classes, data.classes, strict=True) if pair[0] != pair[1])
        raise CheckpointError(
            f"a teacher must have the classes of {data.name!r} in their order, "
            f"{name!r} has {own!r} in place of {required!r}"
        )
    for key, size in task.dimensions(data).items():
        if size is not None and dimensions[key] != size:
            raise CheckpointError(f"a teacher must have {size} {key}, {name!r} has {dimensions[key]}")


def refuse_mixed(name: str, stages: Sequence[StageRecord], data: DataSet) -> None:
    """Refuse data whose validation or test split may hold what an earlier training trained on."""
    own = DataRecord.model_validate(data.describe())
    for stage in stages:
        known = stage.data
        if known.name == own.name and known.splits != own.splits:
            raise DataError(
                f"{own.name!r} must have the splits on which {name!r} was trained, got others: they would mix"
            )
        trained = known.splits["train"].sha256
        overlapping = [split for split in ("validation", "test") if data.split(split).sha256 == trained]
        if overlapping:
            raise DataError(f"the {overlapping[0]} split is what {name!r} was trained on; choose other data")


def read_teacher(path: Path, device: str | torch.device = "cpu") -> ExternalTeacher:
    """The largest net of the supernet directory ``path``, or the net of an ONNX file that was exported here."""
    path = Path(path)
    return _of_file(path) if path.suffix == ".onnx" else _of_supernet(path, device)


def _of_supernet(directory: Path, device: str | torch.device) -> ExternalTeacher:
    supernet = load_supernet(directory)
    manifest, largest = supernet.manifest, supernet.space.max()
    net = supernet.net.to(device).requires_grad_(False)

    def run(inputs: Inputs) -> Tensor:
        with use(net, largest):  # its stored statistics are those of the largest
            outputs: Tensor = net(*(each.to(device) for each in inputs))
        return outputs.float()

    return ExternalTeacher(
        name=manifest.name,
        sha256=manifest.weights_sha256,
        task=supernet.task,
        classes=tuple(manifest.classes),
        preprocessing=manifest.preprocessing,
        dimensions=supernet.family.dimensions(largest),
        run=run,
        stages=tuple(manifest.training.stages),
    )


def _of_file(path: Path) -> ExternalTeacher:
    runner = session(path)
    known = read_metadata(path)
    if not {"classes", "preprocessing", "task"} <= set(known):
        raise CheckpointError(
            f"{path.name!r} must be a file exported by netwright, with task, classes and preprocessing"
        )
    names = [each.name for each in runner.get_inputs()]

    def run(inputs: Inputs) -> Tensor:
        feed = {name: each.cpu().contiguous().numpy() for name, each in zip(names, inputs, strict=True)}
        return torch.from_numpy(runner.run(None, feed)[0])

    preprocessing = known["preprocessing"]
    return ExternalTeacher(
        name=path.stem,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        task=TASKS.load(known["task"])(),
        classes=tuple(known["classes"]),
        preprocessing=preprocessing,
        dimensions={key: value for key, value in preprocessing.items() if isinstance(value, int)},
        run=run,
    )
