"""A teacher from outside: the largest net of another supernet, or a net that was exported, frozen."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from supernets.checkpoints import load_supernet
from supernets.data import DataSet, Facts, prepare
from supernets.elastic.active import use
from supernets.errors import CheckpointError, DataError
from supernets.export.metadata import read_metadata
from supernets.export.runtime import session


@dataclass(frozen=True, eq=False)
class ExternalTeacher:
    """A frozen classifier with its own preprocessing; ``sha256`` is that of the file its weights came from.

    ``stages`` are the records of how it was trained, where they are known.
    """

    name: str
    sha256: str
    classes: tuple[str, ...]
    channels: int
    resolution: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    run: Callable[[Tensor], Tensor]
    stages: tuple[Mapping[str, Any], ...] = ()

    def __call__(self, images: Tensor) -> Tensor:
        """Logits ``(n, classes)`` for stored images ``(n, c, h, w) uint8``."""
        with torch.no_grad():
            return self.run(prepare(images, self.resolution, self.mean, self.std))

    def check(self, data: DataSet) -> None:
        """Refuse to teach other classes, other channels, or from what is to judge the student."""
        refuse_foreign(self.name, self.classes, self.channels, data)
        refuse_mixed(self.name, self.stages, data)


def refuse_foreign(name: str, classes: Sequence[str], channels: int, data: DataSet | Facts) -> None:
    """Refuse a teacher of other classes or channels than the data have, as far as that is known."""
    if data.classes is not None and len(classes) != len(data.classes):
        raise CheckpointError(
            f"a teacher must have the {len(data.classes)} classes of {data.name!r}, {name!r} has {len(classes)}"
        )
    if data.classes is not None and tuple(classes) != data.classes:
        own, wanted = next(pair for pair in zip(classes, data.classes, strict=True) if pair[0] != pair[1])
        raise CheckpointError(
            f"a teacher must have the classes of {data.name!r} in their order, "
            f"{name!r} has {own!r} in place of {wanted!r}"
        )
    if data.channels is not None and channels != data.channels:
        raise CheckpointError(
            f"a teacher must read {data.channels} image channels, {name!r} reads {channels}"
        )


def refuse_mixed(name: str, stages: Sequence[Mapping[str, Any]], data: DataSet) -> None:
    """Refuse data whose validation or test may hold what an earlier training trained on."""
    own = data.describe()
    for stage in stages:
        known = stage["data"]
        if known["name"] == own["name"] and known["splits"] != own["splits"]:
            raise DataError(
                f"{own['name']!r} must have the splits on which {name!r} was trained, got others: they would mix"
            )
        trained = known["splits"]["train"]["sha256"]
        judging = [split for split in ("validation", "test") if own["splits"][split]["sha256"] == trained]
        if judging:
            raise DataError(f"the {judging[0]} split is what {name!r} was trained on; give other data")


def read_teacher(path: Path, device: str | torch.device = "cpu") -> ExternalTeacher:
    """The largest net of the supernet directory ``path``, or the net of an ONNX file that was exported here."""
    path = Path(path)
    return _of_file(path) if path.suffix == ".onnx" else _of_supernet(path, device)


def _of_supernet(directory: Path, device: str | torch.device) -> ExternalTeacher:
    supernet = load_supernet(directory)
    manifest, largest = supernet.manifest, supernet.space.max()
    net = supernet.net.to(device).requires_grad_(False)

    def run(images: Tensor) -> Tensor:
        with use(net, largest):  # its stored statistics are those of the largest
            logits: Tensor = net(images.to(device))
        return logits.float()

    return _teacher(
        manifest.name,
        manifest.weights_sha256,
        manifest.classes,
        {**manifest.preprocessing, "resolution": supernet.family.input_shape(largest)[1]},
        run,
        tuple(manifest.training["stages"]),
    )


def _of_file(path: Path) -> ExternalTeacher:
    runner = session(path)
    known = read_metadata(path)
    if not {"classes", "preprocessing"} <= set(known):
        raise CheckpointError(
            f"{path.name!r} must be a file exported by netwright, with classes and preprocessing"
        )
    given = runner.get_inputs()[0].name

    def run(images: Tensor) -> Tensor:
        return torch.from_numpy(runner.run(None, {given: images.cpu().numpy()})[0])

    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return _teacher(path.stem, sha256, known["classes"], known["preprocessing"], run)


def _teacher(
    name: str,
    sha256: str,
    classes: Sequence[str],
    preprocessing: Mapping[str, Any],
    run: Callable[[Tensor], Tensor],
    stages: tuple[Mapping[str, Any], ...] = (),
) -> ExternalTeacher:
    return ExternalTeacher(
        name=name,
        sha256=sha256,
        classes=tuple(classes),
        channels=int(preprocessing["channels"]),
        resolution=int(preprocessing["resolution"]),
        mean=tuple(preprocessing["mean"]),
        std=tuple(preprocessing["std"]),
        run=run,
        stages=stages,
    )
