"""A converted network as a supernet directory: from there on it is a supernet like any other."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

from supernets import TASKS
from supernets.checkpoints import pack, save_supernet
from supernets.convert.converted import Converted
from supernets.data import DataSet
from supernets.data.dataset import Expected
from supernets.errors import ConvertError, DataError
from supernets.manifest import Manifest
from supernets.records import DataRecord, TrainingRecord
from supernets.spaces.cost import costs
from supernets.tasks.task import Task


@dataclasses.dataclass(frozen=True)
class Expects:
    """What the network expects of images: ``mean`` and ``std`` of pixels in 0..1, ``crop`` of the shorter side.

    ``outputs``: the output that stands for each class of the data; in their order if absent.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop: float = 1.0
    outputs: tuple[int, ...] | None = None


def write_supernet(
    found: Converted,
    data: DataSet,
    directory: Path,
    *,
    name: str,
    task: str = "image_classification",
    expects: Expects | None = None,
) -> Manifest:
    """Write the supernet directory of a converted network, to be evaluated on ``data``.

    Args:
        found: the network.
        data: what it was trained on, or data with the same classes.
        directory: created.
        name: of the supernet.
        task: a task of images.
        expects: how the network was trained to see images; the data's own mean and standard deviation if absent.

    Raises:
        ConvertError: the inputs or outputs of the network do not fit the data or the task.
    """
    chosen: Task = TASKS.load(task)()
    family = found.family
    if not {"height", "width"} <= set(family.dimensions(family.space().max())):
        raise ConvertError(
            f"task {task!r} needs a network with one image (batch, channels, height, width) as its input, got "
            f"{[list(source.output.shape) for source in family.graph.inputs]}"
        )
    expected = _expected(data, expects)
    try:
        if expected.outputs == tuple(range(len(data.classes))):
            chosen.check(family, data)
    except DataError as error:
        raise ConvertError(f"the network does not fit the data: {error}") from error
    seen = dataclasses.replace(data, expected=expected)
    weights = pack(found.net)
    record = {**data.describe(), "outputs": list(expected.outputs)}
    preprocessing = {**seen.preprocessing(), "mean": list(expected.mean), "std": list(expected.std)}
    manifest = Manifest(
        name=name,
        family=family.name,
        config=family.config(),
        task=chosen.name,
        quality=chosen.quality,
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        space_sha256=family.space().sha256,
        data=DataRecord.model_validate(record),
        preprocessing=preprocessing,
        classes=list(data.classes),
        recipe={
            "name": "converted",
            "graph_sha256": family.graph.sha256,
            "importance": found.importance,
        },
        training=TrainingRecord(),
        report={"converted": summary(found)},
    )
    save_supernet(Path(directory), found.net, manifest)
    return manifest


def _expected(data: DataSet, expects: Expects | None) -> Expected:
    given = expects or Expects(tuple(data.mean), tuple(data.std))
    if not len(given.mean) == len(given.std) == data.channels or min(given.std) <= 0:
        raise ConvertError(
            f"mean and std must have {data.channels} entries, std above 0, got {given.mean} and {given.std}"
        )
    outputs = given.outputs or tuple(range(len(data.classes)))
    if len(outputs) != len(data.classes):
        raise ConvertError(f"outputs must have {len(data.classes)} entries, one a class, got {len(outputs)}")
    return Expected(given.mean, given.std, given.crop, outputs)


def summary(found: Converted) -> dict[str, object]:
    """What was found, as JSON: axes, what stays and why, and the costs of the smallest and the largest network."""
    family, space = found.family, found.family.space()
    ends = {"smallest": space.min(), "largest": space.max()}
    return {
        "axes": [
            {
                "name": axis.name,
                "kind": axis.kind,
                "removing": axis.removing,
                "modules": list(axis.modules),
                "choices": [[choice, kept] for choice, kept in axis.choices.items()],
            }
            for axis in found.axes
        ],
        "frozen": [dataclasses.asdict(each) for each in found.frozen],
        "costs": {
            end: {
                name: value
                for name, value in costs(family.layers(arch)).items()
                if name in family.known_costs
            }
            for end, arch in ends.items()
        },
        "subnets": space.size(),
    }
