"""The supernets that once-for-all released (Cai et al., 2020): which there are, and their files.

A file is a dictionary of tensors, or has one under ``state_dict``. Older files name the parameters differently
(``.mobile_inverted_conv.`` for ``.conv.``, one ``.conv`` or ``.bn`` for two); both spellings are read.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from supernets import FAMILIES
from supernets.data.dataset import DataSet, Expected
from supernets.elastic.active import ElasticModel
from supernets.errors import CheckpointError, DataError, UnknownNameError
from supernets.families.family import Family
from supernets.manifest import Manifest
from supernets.official import imagenet
from supernets.records import DataRecord, TrainingRecord
from supernets.tasks.image_classification import ImageClassification
from supernets.torch_file import UnsafeFileError, read_torch, require_small

SHOWN = 5
COUNTER = "num_batches_tracked"
REPEATED = re.compile(r"\b(conv|bn|linear)(\.\1)+\b")


@dataclass(frozen=True, slots=True)
class OfficialKind:
    """One released supernet.

    Attributes:
        family: its name in ``FAMILIES``, whose defaults are meant, with ``config`` changed.
        config: settings of the family that differ from its defaults.
        name: under which it is registered by default.
    """

    family: str
    config: Mapping[str, object]
    name: str

    def make_family(self) -> Family:
        """The family, without weights."""
        family: Family = FAMILIES.load(self.family).from_config(self.config)
        return family


OFFICIAL: dict[str, OfficialKind] = {
    "ofa_mbv3_d234_e346_k357_w1.0": OfficialKind("mobilenet_v3", {}, "ofa-mbv3-w1.0"),
    "ofa_mbv3_d234_e346_k357_w1.2": OfficialKind("mobilenet_v3", {"base_width": 1.2}, "ofa-mbv3-w1.2"),
    "ofa_proxyless_d234_e346_k357_w1.3": OfficialKind("proxyless", {}, "ofa-proxyless-w1.3"),
    "ofa_resnet50_d=0+1+2_e=0.2+0.25+0.35_w=0.65+0.8+1.0": OfficialKind("resnet50", {}, "ofa-resnet50"),
}
LICENCE = "MIT"
SOURCE = "once-for-all (Cai et al., 2020), https://github.com/mit-han-lab/once-for-all"
DATA_NAME = "imagenet"
PUBLISHED_FILE = Path(__file__).parent / "official_nets.json"


def published(name: str) -> list[dict[str, object]]:
    """Networks that the authors cut out of a released supernet, fine-tuned and published.

    Each has ``net`` (its id), ``top1`` (accuracy on ImageNet in per cent), ``params_M``, ``macs_M`` and ``image_size``.
    """
    rows: list[dict[str, object]] = json.loads(PUBLISHED_FILE.read_text())
    return [
        {key: value for key, value in row.items() if key != "kind"} for row in rows if row["kind"] == name
    ]


def official_manifest(name: str, weights_sha256: str, source_sha256: str) -> Manifest:
    """The manifest of a released supernet: ImageNet's preprocessing and classes, and the published accuracies.

    ``data`` has no splits: the images that subnets are evaluated on are the user's.
    """
    kind = OFFICIAL[name]
    family = kind.make_family()
    return Manifest(
        name=kind.name,
        family=family.name,
        config=family.config(),
        task=ImageClassification.name,
        quality=ImageClassification.quality,
        weights_sha256=weights_sha256,
        space_sha256=family.space().sha256,
        data=DataRecord(name=DATA_NAME),
        preprocessing=imagenet.preprocessing(),
        classes=list(imagenet.class_names()),
        recipe={"name": name, "source": SOURCE, "source_sha256": source_sha256},
        training=TrainingRecord(),
        report={"published": published(name)},
        licence=LICENCE,
    )


def official_kind(name: str) -> OfficialKind:
    """The released supernet of this name; raises ``UnknownNameError`` with the choices."""
    if name not in OFFICIAL:
        raise UnknownNameError("official checkpoint", name, tuple(OFFICIAL))
    return OFFICIAL[name]


def load_official_net(name: str, path: Path) -> ElasticModel:
    """The elastic network of a released file, in evaluation mode on the CPU.

    Raises:
        UnknownNameError: no released supernet has this name.
        CheckpointError: the file is missing, truncated, holds anything but tensors, or belongs to another kind.
    """
    kind = official_kind(name)
    path = Path(path)
    entries = read_entries(path)
    try:
        state = matched(entries, shapes_of(name))
    except CheckpointError as error:
        raise CheckpointError(
            f"{path.name!r} ({_described(path)}) is no {name}{_hint(name, entries)}: {error}"
        ) from None
    with torch.device("meta"):
        net = kind.make_family().build()
    for key, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"weights must be finite, {key!r} of {path.name!r} is not")
        if key.endswith("running_var") and bool((tensor < 0).any()):
            raise CheckpointError(f"variances must not be negative, {key!r} of {path.name!r} is")
    net.load_state_dict(state, assign=True)
    return net.eval()


def read_entries(path: Path) -> dict[str, Tensor]:
    """The named tensors of a file that torch saved; code in it is refused before anything is loaded."""
    if not path.is_file():
        raise CheckpointError(f"there must be a file to load, but {str(path)!r} is none")
    if path.stat().st_size == 0:
        raise CheckpointError(f"{path.name!r} is empty")
    try:
        found = read_torch(path)
    except UnsafeFileError as error:
        raise CheckpointError(
            f"{path.name!r} ({_described(path)}) must hold tensors alone; other objects could run code, "
            f"so it was not loaded"
        ) from error
    except CheckpointError as error:
        raise CheckpointError(f"{path.name!r} ({_described(path)}) cannot be read: {error}") from error
    entries = found.get("state_dict", found) if isinstance(found, dict) else found
    if not isinstance(entries, dict) or not entries:
        raise CheckpointError(
            f"{path.name!r} must hold a dictionary of tensors, got {type(entries).__name__}"
        )
    foreign = [str(key) for key, value in entries.items() if not isinstance(value, Tensor)]
    if foreign:
        raise CheckpointError(
            f"{path.name!r} must hold tensors alone, {foreign[:SHOWN]} of its {len(entries)} entries are none"
        )
    try:
        require_small(entries.values(), path)
    except CheckpointError as error:
        raise CheckpointError(f"{path.name!r} ({_described(path)}) cannot be read: {error}") from error
    return {str(key): value for key, value in entries.items()}


@lru_cache(maxsize=len(OFFICIAL))
def shapes_of(name: str) -> dict[str, tuple[int, ...]]:
    """Parameter name to shape of a released supernet, in our own spelling, which is the authors' newer one."""
    with torch.device("meta"):
        net = official_kind(name).make_family().build()
    return {key: tuple(tensor.shape) for key, tensor in net.state_dict().items()}


def spelling_free(key: str) -> str:
    """A parameter's name without what the two spellings differ in."""
    return REPEATED.sub(r"\1", key.replace(".mobile_inverted_conv.", ".conv."))


def matched(entries: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """The tensors under our names, float32; raises ``CheckpointError`` that names what does not fit."""
    own = {spelling_free(key): key for key in shapes}
    state: dict[str, Tensor] = {}
    extra, misshapen, other = [], [], []
    for key, tensor in entries.items():
        target = own.get(spelling_free(key))
        if target is None or target in state:
            extra.append(key)
        elif tuple(tensor.shape) != shapes[target]:
            misshapen.append(f"{key} {tuple(tensor.shape)} instead of {shapes[target]}")
            state[target] = tensor
        elif (kind := _other_kind(target, tensor)) is not None:
            other.append(f"{key} {kind}")
            state[target] = tensor
        else:
            state[target] = tensor.long() if target.endswith(COUNTER) else tensor.float()
    missing = sorted(set(shapes) - set(state))
    problems = {
        "missing": missing,
        "extra": sorted(extra),
        "of another shape": misshapen,
        "not of real numbers": other,
    }
    if any(problems.values()):
        raise CheckpointError(
            "; ".join(f"{len(keys)} {what}: {_listed(keys)}" for what, keys in problems.items() if keys)
        )
    return state


def _other_kind(target: str, tensor: Tensor) -> str | None:
    """In words what a tensor holds that cannot be a weight; None for one that can."""
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta:
        return "quantized" if tensor.is_quantized else "without values" if tensor.is_meta else "sparse"
    number = not tensor.is_complex() and tensor.dtype is not torch.bool
    fits = number if target.endswith(COUNTER) else tensor.is_floating_point()
    return None if fits else str(tensor.dtype).removeprefix("torch.")


def _listed(keys: list[str]) -> str:
    return ", ".join(keys)


def _hint(name: str, entries: Mapping[str, Tensor]) -> str:
    """Which released supernet the entries fit, if another one."""
    for other in OFFICIAL:
        if other == name:
            continue
        try:
            matched(entries, shapes_of(other))
        except CheckpointError:
            continue
        return f". It looks like {other}. Of {name}"
    return ""


def _described(path: Path) -> str:
    return f"{path.stat().st_size:,} bytes, SHA-256 {file_sha256(path)}"


def file_sha256(path: Path) -> str:
    """Hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def expecting(data: DataSet, manifest: Manifest) -> DataSet:
    """``data`` as the network of ``manifest`` expects it, which matters where it was trained on other images."""
    return seen_as(data, expected_of(manifest), manifest.name)


def seen_as(data: DataSet, expected: Expected | None, name: str) -> DataSet:
    """``data`` as the network called ``name`` expects it; raises ``DataError`` for other classes."""
    if expected is None:
        return data
    if len(expected.outputs) != len(data.classes):
        raise DataError(
            f"{data.name!r} must have the {len(expected.outputs)} classes of {name!r}, got {len(data.classes)}"
        )
    return dataclasses.replace(data, expected=expected)


def expected_of(manifest: Manifest) -> Expected | None:
    """What the network of ``manifest`` expects of images where it was first trained elsewhere; None otherwise."""
    outputs, known = manifest.data.outputs, manifest.preprocessing
    if outputs is None:
        return None
    return Expected(tuple(known["mean"]), tuple(known["std"]), float(known.get("crop", 1.0)), tuple(outputs))
