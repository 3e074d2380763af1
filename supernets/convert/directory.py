"""A converted network as a supernet directory: from there on it is a supernet like any other."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import torch

from supernets import TASKS
from supernets.checkpoints import pack, save_supernet
from supernets.convert.converted import Converted, ranked
from supernets.convert.importances import WITHOUT_EXAMPLES
from supernets.convert.ranking import Labelled
from supernets.convert.records import AxisRecord, FoundRecord, KeptRecord, StaysRecord, TensorRecord
from supernets.data import DataSet, Facts
from supernets.data.dataset import Expected
from supernets.errors import ConvertError, DataError
from supernets.evaluate import example_scores
from supernets.families.converted.traced_space import TracedFamily
from supernets.manifest import Manifest
from supernets.records import DataRecord, TrainingRecord
from supernets.spaces.cost import costs
from supernets.spaces.space import Arch
from supernets.tasks.task import Batch, NamedTensor, Task

RANKED_ON, RANKED_AT_ONCE = 256, 32
"""Training examples for the importance of channels, and how many of them are a batch."""


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
    check_fit(found, chosen)
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
        report={
            "converted": found_in(found).model_dump(mode="json"),
            "original": original_row(found, chosen, seen),
        },
    )
    save_supernet(Path(directory), found.net, manifest)
    return manifest


def ranked_on(
    found: Converted,
    importance: str,
    data: DataSet,
    *,
    task: str = "image_classification",
    expects: Expects | None = None,
    examples: int = RANKED_ON,
) -> Converted:
    """``found`` with its channels in the order of another importance, on the first training ``examples`` of ``data``.

    The train split has a fixed order, so the examples are the same everywhere.
    """
    if importance in WITHOUT_EXAMPLES:
        return ranked(found, importance)
    chosen: Task = TASKS.load(task)()
    check_fit(found, chosen, data)
    seen = dataclasses.replace(data, expected=_expected(data, expects))
    stored, labels = data.train.head(examples), data.train.labels[:examples]
    largest, labelled = found.family.space().max(), []
    for start in range(0, len(stored), RANKED_AT_ONCE):
        part = slice(start, start + RANKED_AT_ONCE)
        batch = Batch(chosen, found.family, seen, (stored[part], labels[part]), torch.device("cpu"))
        labelled.append(Labelled(batch.at(largest), batch.targets, chosen.loss))
    return ranked(found, importance, labelled)


def check_fit(found: Converted, task: Task, data: Facts | DataSet | None = None) -> None:
    """Refuse a network whose input or output is not that of the task, as far as it is known.

    Raises:
        ConvertError: what the task needs, and what the network has.
    """
    family = found.family
    own = family.dimensions(family.space().max())
    if not {"height", "width"} <= set(own):
        raise ConvertError(
            f"task {task.name!r} needs a network with one image (batch, channels, height, width) as its input, got "
            f"{[list(source.output.shape) for source in family.graph.inputs]}"
        )
    if data is None:
        return
    for name, size in task.dimensions(data).items():
        if size is not None and own.get(name) != size:
            raise ConvertError(
                f"the network does not fit the data: {data.name!r} has {size} {name}, the network {own.get(name)}"
            )


def original_row(found: Converted, task: Task, data: DataSet) -> dict[str, object]:
    """The network as it came, as JSON: its arch and costs, and its quality on validation and test.

    It is evaluated with its own BatchNorm statistics. The test examples are for reporting alone.
    """
    largest = found.family.space().max()
    row: dict[str, object] = {"arch": largest.as_dict(), "costs": _costs(found.family, largest)}
    for split in ("validation", "test"):
        scores = example_scores(found.net, task, data, largest, None, split)
        value, error = task.summarise(scores)
        row[split] = {"metric": task.quality, "value": value, "standard_error": error, "n": len(scores)}
    return row


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


def found_in(found: Converted) -> FoundRecord:
    """What was found: axes, what stays and why, and the costs of the smallest and the largest network."""
    family, space, interface = found.family, found.family.space(), found.interface
    return FoundRecord(
        inputs=[_tensor(each) for each in interface.inputs],
        output=_tensor(interface.output),
        axes=[
            AxisRecord(
                name=axis.name,
                kind=axis.kind,
                removing="exact" if axis.exact else "approximate",
                unit=axis.unit,
                modules=list(axis.modules),
                choices=[KeptRecord(choice=choice, kept=kept) for choice, kept in axis.choices.items()],
            )
            for axis in found.axes
        ],
        frozen=[StaysRecord.model_validate(dataclasses.asdict(each)) for each in found.frozen],
        costs={"smallest": _costs(family, space.min()), "largest": _costs(family, space.max())},
        subnets=float(space.size()),
        importance=found.importance,
    )


def _tensor(named: NamedTensor) -> TensorRecord:
    return TensorRecord(name=named.name, dtype=named.dtype, shape=list(named.shape))


def _costs(family: TracedFamily, arch: Arch) -> dict[str, float]:
    known = costs(family.layers(arch))
    return {name: known[name] for name in family.known_costs}
