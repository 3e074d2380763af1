"""Supernets on disk: weights in safetensors and a manifest with their hash. Nothing is unpickled."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor

from supernets import TASKS
from supernets.data.text.tokenization import TOKENIZER_FILE
from supernets.data_facts.spec import OF_SUPERNET
from supernets.elastic.active import ElasticModel
from supernets.elastic.sharded import ShardedNet
from supernets.errors import CheckpointError
from supernets.families.family import Family
from supernets.manifest import MANIFEST_FILE, WEIGHTS_FILE, Manifest
from supernets.official.nets import file_sha256, load_official_net, official_manifest
from supernets.spaces.space import Space
from supernets.tasks.task import Task

__all__ = [
    "Manifest",
    "Supernet",
    "load_official",
    "load_supernet",
    "read_tensors",
    "save_supernet",
    "write_bytes",
    "write_manifest",
]


@dataclass(frozen=True)
class Supernet:
    """A trained elastic network with its manifest; ``net`` is in evaluation mode on the CPU.

    After a split it stands for several (:class:`supernets.elastic.sharded.ShardedNet`).
    """

    manifest: Manifest
    family: Family
    net: ElasticModel

    def licensed(self, licence: str | None) -> Supernet:
        """The same with another licence of its weights; None where their owner states none."""
        return replace(self, manifest=self.manifest.model_copy(update={"licence": licence}))

    @property
    def task(self) -> Task:
        """What it was trained for."""
        task: Task = TASKS.load(self.manifest.task)()
        return task

    @property
    def space(self) -> Space:
        """All its subnets."""
        return self.family.space()


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that it is either complete or absent, also when the machine stops."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_tensors(path: Path, sha256: str | None = None) -> dict[str, Tensor]:
    """Tensors of a safetensors file, refused if its hash is not ``sha256`` or it is truncated."""
    if not path.is_file():
        raise CheckpointError(f"{path.name!r} is missing from {path.parent.name!r}")
    data = path.read_bytes()
    got = hashlib.sha256(data).hexdigest()
    if sha256 is not None and got != sha256:
        raise CheckpointError(
            f"{path.name!r} must have SHA-256 {sha256[:12]}…, got {got[:12]}… ({len(data)} bytes)"
        )
    try:
        return load_safetensors(data)
    except SafetensorError as error:
        raise CheckpointError(f"{path.name!r} is not a complete safetensors file: {error}") from error


def load_supernet(directory: Path) -> Supernet:
    """The supernet of a directory; anything truncated, foreign or incomplete raises ``CheckpointError``."""
    directory = Path(directory)
    manifest = Manifest.read(directory)
    family = manifest.make_family()
    net = family.build()
    if regions := manifest.regions():
        net = ShardedNet(family, [family.build() for _ in regions], regions)
    net.load_weights(read_tensors(directory / WEIGHTS_FILE, manifest.weights_sha256))
    check_tokenizer(directory, manifest)
    return Supernet(manifest, family, net.eval())


def check_tokenizer(directory: Path, manifest: Manifest) -> None:
    """Refuse a directory without the tokenizer that its manifest names, or with another one."""
    if f"tokenizer={OF_SUPERNET}" not in manifest.data.name:
        return
    path, expected = directory / TOKENIZER_FILE, manifest.preprocessing.get("tokenizer_sha256")
    if not path.is_file():
        raise CheckpointError(
            f"a supernet of texts must hold its {TOKENIZER_FILE}, {directory.name!r} does not"
        )
    if (got := hashlib.sha256(path.read_bytes()).hexdigest()) != expected:
        raise CheckpointError(f"{TOKENIZER_FILE} must have SHA-256 {expected}, got {got}")


def load_official(kind: str, path: Path) -> Supernet:
    """The supernet of a file that once-for-all released; ``kind`` is a key of :data:`supernets.official.nets.OFFICIAL`.

    Subnets that are extracted without recalibration keep the statistics of the file.

    Raises:
        UnknownNameError: no released supernet has this name.
        CheckpointError: the file is truncated, holds anything but tensors, or belongs to another kind.
    """
    net = load_official_net(kind, path)
    weights_sha256 = hashlib.sha256(pack(net)).hexdigest()
    manifest = official_manifest(kind, weights_sha256, file_sha256(Path(path)))
    return Supernet(manifest, manifest.make_family(), net)


def pack(net: ElasticModel) -> bytes:
    """All weights and statistics as a safetensors file."""
    return save_safetensors(
        {name: tensor.detach().contiguous().clone() for name, tensor in net.state_dict().items()}
    )


def save_supernet(
    directory: Path, net: ElasticModel, manifest: Manifest, tokenizer: str | None = None
) -> None:
    """Write weights, the tokenizer of texts, and the manifest, which comes last and must carry the weights' hash."""
    directory.mkdir(parents=True, exist_ok=True)
    weights = pack(net)
    if hashlib.sha256(weights).hexdigest() != manifest.weights_sha256:
        raise CheckpointError("the manifest must carry the hash of the weights it is saved with")
    write_bytes(directory / WEIGHTS_FILE, weights)
    if tokenizer is not None:
        write_bytes(directory / TOKENIZER_FILE, tokenizer.encode())
    write_manifest(directory, manifest)


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write the manifest alone, next to the weights whose hash it holds."""
    write_bytes(
        directory / MANIFEST_FILE,
        json.dumps(manifest.as_json(), indent=1, ensure_ascii=False).encode() + b"\n",
    )
