"""A pretrained folder as a supernet directory: largest arch and original compute the same."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from supernets import FAMILIES, PRETRAINED
from supernets.checkpoints import pack, save_supernet
from supernets.data import DataSet, load_data
from supernets.data.dataset import Expected
from supernets.data.text.tokenization import TOKENIZER_FILE
from supernets.data_facts.spec import OF_SUPERNET, DataSpec
from supernets.elastic.active import ElasticModel
from supernets.elastic.reorder import reorder
from supernets.errors import ConvertError, DataError, SpaceError
from supernets.families.family import Family
from supernets.manifest import Manifest
from supernets.pretrained.architecture import Architecture
from supernets.pretrained.folder import PretrainedFolder
from supernets.pretrained.request import check_request
from supernets.pretrained.seen import mean_squares
from supernets.records import DataRecord, TrainingRecord
from supernets.tasks.task import Task
from supernets.tasks.texts import TextTask

GENERIC_LABEL = "LABEL_"
"""Placeholder names of classes in ``config.json``."""


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A pretrained network as an elastic one.

    ``classifier`` is ``kept``, ``new`` (random) or ``none``; ``new`` names all weights that the folder does not have,
    and ``unused`` its tensors of heads of other tasks.
    """

    family: Family
    net: ElasticModel
    classifier: str
    new: tuple[str, ...]
    unused: tuple[str, ...]


def read_pretrained(
    folder: PretrainedFolder, classes: Sequence[str] | None, **settings: object
) -> Pretrained:
    """The elastic network of a folder.

    Args:
        folder: as Hugging Face writes it.
        classes: names of the classes of a classifier; None for a language model.
        settings: of the family, in place of those of the folder (``sequence``, ``heads``, ``depths``, ...).

    Raises:
        ConvertError: an unknown architecture, missing, left over or misshapen tensors, or settings that do not fit.
    """
    architecture: Architecture = PRETRAINED.load(folder.config["model_type"])(folder)
    outputs = None if classes is None else len(classes)
    values = {**architecture.settings(outputs), **settings}
    try:
        family: Family = FAMILIES.load(architecture.family).from_config(values)
        family.space()
    except (SpaceError, TypeError) as error:
        raise ConvertError(f"family {architecture.family!r} cannot hold this network: {error}") from error
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = family.build()
    own = net.state_dict()
    found = architecture.read(folder.tensors(), {name: tuple(value.shape) for name, value in own.items()})
    weights = dict(found.weights)
    order = _order(folder.config, classes)
    kept = order is not None and all(name in weights for name in own if name.startswith("classifier."))
    for name in [each for each in weights if each.startswith("classifier.")]:
        if kept and order is not None:
            weights[name] = weights[name][torch.tensor(order)]
        else:
            del weights[name]
    net.load_weights({**own, **weights})
    net.eval()
    classifier = "none" if classes is None else "kept" if kept else "new"
    return Pretrained(family, net, classifier, tuple(sorted(own.keys() - weights.keys())), found.unused)


def sort(net: ElasticModel, task: Task, data: DataSet) -> None:
    """Put the heads and neurons that add most on the training examples first; outputs of the largest stay the same."""
    space = net.family.space()
    largest = space.restrict({axis.name: [axis.choices[-1]] for axis in space.axes})
    reorder(net, net.channel_groups(), largest, seen=mean_squares(net, task, data))


def _order(config: Any, classes: Sequence[str] | None) -> list[int] | None:
    """The output of the file that stands for each class, or None where the file has other classes."""
    if classes is None:
        return None
    stated = config.get("id2label")
    if not isinstance(stated, dict):
        return list(range(len(classes)))  # the file was made for as many classes, without names
    names = [str(stated[key]) for key in sorted(stated, key=lambda key: int(key))]
    if len(names) != len(classes):
        return None
    if all(name.startswith(GENERIC_LABEL) for name in names):
        return list(range(len(classes)))
    return [names.index(each) for each in classes] if set(names) == set(classes) else None


def convert_folder(
    path: Path,
    data: str,
    out: Path,
    *,
    name: str,
    task: str | None = None,
    sequence: int | None = None,
    importance: bool = True,
    data_dir: Path | None = None,
) -> Manifest:
    """Write the supernet directory of a pretrained folder.

    Args:
        path: the folder.
        data: what the supernet is evaluated and trained on; texts are read with the folder's tokenizer.
        out: the directory; created.
        name: of the supernet.
        task: what it is for; that which fits the folder and the data if None.
        sequence: tokens to which texts are cut or padded; 64, or the positions where there are fewer.
        importance: sort heads and neurons by importance.
        data_dir: folder with the files of known data sets.

    Raises:
        ConvertError: the folder, the task and the data do not fit; nothing is written.
    """
    request = check_request(path, data, task, sequence)
    folder, chosen = request.folder, request.task
    is_text = isinstance(chosen, TextTask)
    loaded = (
        tokenized(data, folder, data_dir) if is_text else load_data(DataSpec.parse(data).below(), data_dir)
    )
    settings: dict[str, Any] = {}
    if request.sequence is not None:
        settings["sequence"] = request.sequence
    classes = None if not loaded.classes else loaded.classes
    found = read_pretrained(folder, classes, **settings)
    seen = loaded if is_text else _as_expected(folder, loaded)
    try:
        chosen.check(found.family, seen)
    except DataError as error:
        raise ConvertError(f"the network does not fit task and data: {error}") from error
    if importance:
        sort(found.net, chosen, seen)
    manifest = _manifest(found, seen, chosen, name, folder)
    save_supernet(out, found.net, manifest, seen.tokenizer_file())
    return manifest


def tokenized(data: str, folder: PretrainedFolder, data_dir: Path | None = None) -> DataSet:
    """The texts as tokens of the folder's tokenizer, which will be the supernet's."""
    spec = DataSpec.parse(data).below().model_copy(update={"tokenizer": OF_SUPERNET})
    with tempfile.TemporaryDirectory() as beside:
        (Path(beside) / TOKENIZER_FILE).write_bytes(folder.tokenizer)
        return load_data(spec, data_dir, beside=Path(beside))


def _as_expected(folder: PretrainedFolder, data: DataSet) -> DataSet:
    """The images as the network was trained to see them, by ``preprocessor_config.json`` where there is one."""
    stated = folder.json_file("preprocessor_config.json") or {}
    mean, std = stated.get("image_mean", list(data.mean)), stated.get("image_std", list(data.std))
    numbers = [*mean, *std] if isinstance(mean, list) and isinstance(std, list) else []
    fits = len(numbers) == 2 * data.channels and all(isinstance(each, int | float) for each in numbers)
    if not fits or not all(math.isfinite(each) for each in numbers) or min(std) <= 0:
        raise ConvertError(
            f"image_mean and image_std must have {data.channels} numbers each, std above 0, got {mean} and {std}"
        )
    expected = Expected(tuple(mean), tuple(std), 1.0, tuple(range(len(data.classes))))
    return dataclasses.replace(data, expected=expected)


def _manifest(found: Pretrained, data: DataSet, task: Task, name: str, folder: PretrainedFolder) -> Manifest:
    weights = pack(found.net)
    report = {
        "pretrained": {
            "model_type": folder.config["model_type"],
            "classifier": found.classifier,
            "new": list(found.new),
            "unused": list(found.unused[:50]),
        }
    }
    return Manifest(
        name=name,
        family=found.family.name,
        config=found.family.config(),
        task=task.name,
        quality=task.quality,
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        space_sha256=found.family.space().sha256,
        data=DataRecord.model_validate(data.describe()),
        preprocessing=data.preprocessing(),
        classes=list(data.classes),
        recipe={"name": "pretrained", "model_type": folder.config["model_type"]},
        training=TrainingRecord(),
        report=report,
    )
