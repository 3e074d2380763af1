"""Truncated, foreign and incomplete supernets are refused, with the reason."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save

from supernets.checkpoints import Manifest, load_supernet, pack, save_supernet
from supernets.errors import CheckpointError
from supernets.records import DataRecord, TrainingRecord
from tests.small import small_family


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    family = small_family()
    net = family.build()
    manifest = Manifest(
        name="small",
        family="mobilenet_v3",
        config=family.config(),
        task="image_classification",
        quality="accuracy",
        weights_sha256=hashlib.sha256(pack(net)).hexdigest(),
        space_sha256=family.space().sha256,
        data=DataRecord(name="none"),
        preprocessing={},
        classes=[],
        recipe={},
        training=TrainingRecord(),
    )
    save_supernet(tmp_path / "small", net, manifest)
    return tmp_path / "small"


def rewrite(directory: Path, **changes: object) -> None:
    path = directory / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def replace_weights(directory: Path, data: bytes) -> None:
    (directory / "supernet.safetensors").write_bytes(data)
    rewrite(directory, weights_sha256=hashlib.sha256(data).hexdigest())


def test_round_trip(directory: Path) -> None:
    supernet = load_supernet(directory)
    assert not supernet.net.training
    assert hashlib.sha256(pack(supernet.net)).hexdigest() == supernet.manifest.weights_sha256


def test_truncated_weights(directory: Path) -> None:
    path = directory / "supernet.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="must have SHA-256"):
        load_supernet(directory)
    replace_weights(directory, path.read_bytes())
    with pytest.raises(CheckpointError, match="not a complete safetensors file"):
        load_supernet(directory)


def test_missing_foreign_misshapen_and_infinite_weights(directory: Path) -> None:
    good = load((directory / "supernet.safetensors").read_bytes())
    name = "first_conv.conv.weight"
    for bad, message in (
        ({k: v for k, v in good.items() if k != name}, "1 missing"),
        ({**good, "extra": torch.zeros(1)}, "1 unexpected"),
        ({**good, name: torch.zeros(1)}, "1 of another shape"),
        ({**good, name: torch.full_like(good[name], float("nan"))}, "must be finite"),
    ):
        replace_weights(directory, save(bad))
        with pytest.raises(CheckpointError, match=message):
            load_supernet(directory)


def test_a_pickle_is_never_read(directory: Path) -> None:
    torch.save({"state_dict": {}}, directory / "supernet.safetensors")
    rewrite(
        directory,
        weights_sha256=hashlib.sha256((directory / "supernet.safetensors").read_bytes()).hexdigest(),
    )
    with pytest.raises(CheckpointError, match="not a complete safetensors file"):
        load_supernet(directory)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space_sha256": "0" * 64}, "the family's space has hash"),
        ({"family": "resnet99"}, "choices: .*mobilenet_v3"),
        ({"config": {"colour": 1}}, "unknown mobilenet_v3 settings"),
        ({"config": 7}, "config: Input should be a valid dictionary"),
        ({"surprise": 1}, "surprise: Extra inputs are not permitted"),
        ({"format": 99}, "format: Input should be 1, got '99'"),
        ({"name": "a/b"}, "name: String should match pattern"),
        ({"name": "x" * 81}, "name: String should match pattern"),
        ({"quality": "beauty"}, "quality: must be one of accuracy, .*got 'beauty'"),
        ({"task": "chess"}, "task: must be one of image_classification"),
        ({"weights_sha256": "abc"}, "weights_sha256: String should match pattern"),
        (
            {"data": {"name": "d", "splits": {"train": {"n": -1, "sha256": "0" * 64}}}},
            "data.splits.train.n: ",
        ),
        ({"data": {"name": "d", "splits": {"secret": {}}}}, "'train', 'validation' or 'test'"),
        ({"classes": ["a", 3]}, "classes.1: Input should be a valid string"),
        ({"report": json.loads('{"a":' * 40 + "1" + "}" * 40)}, "nested at most 12 levels deep"),
        ({"report": {"a": float("nan")}}, "numbers must be finite"),
        ({"training": {"stages": [{"steps": 1}]}}, "training.stages.0.recipe: Field required"),
        ({"classes": ["c"] * 100_001}, "at most 100000"),
    ],
)
def test_bad_manifests(directory: Path, changes: dict[str, object], message: str) -> None:
    rewrite(directory, **changes)
    with pytest.raises(CheckpointError, match=message):
        load_supernet(directory)


def test_absent_and_torn_manifests(directory: Path) -> None:
    (directory / "manifest.json").write_text("{")
    with pytest.raises(CheckpointError, match="must be JSON"):
        Manifest.read(directory)
    (directory / "manifest.json").unlink()
    with pytest.raises(CheckpointError, match="must hold manifest.json"):
        Manifest.read(directory)
