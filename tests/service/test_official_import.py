"""A released once-for-all file, from the import folder to a measured quality and a verified file."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from starlette.testclient import TestClient

from service.db import queries
from service.db.session import Database
from service.db.tables import Supernet
from service.ids import DEFAULT_PROJECT
from service.settings import Settings
from service.subnets import tasks
from service.supernets.bench import bench_of, open_bench
from supernets.export.metadata import read_metadata
from supernets.export.runtime import session
from supernets.official import imagenet
from supernets.official.nets import shapes_of
from tests.supernets.official_files import generated, save

KIND = "ofa_mbv3_d234_e346_k357_w1.0"
CLASSES = ("n01484850", "n01440764")


@pytest.fixture
def imagenet_folder(settings: Settings) -> Path:
    """Twenty images of two classes in each split, and a released file with generated weights."""
    assert settings.import_dir is not None
    random = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for wnid in CLASSES:
            folder = settings.import_dir / "imagenet" / split / wnid
            folder.mkdir(parents=True)
            for index in range(10):
                pixels = random.integers(0, 256, (8, 12, 3), dtype=np.uint8)
                Image.fromarray(pixels).resize((96, 64)).save(folder / f"{split}{index}.png")
    save(settings.import_dir / "weights", generated(shapes_of(KIND)))
    return settings.import_dir


def body(kind: str = KIND, file: str = "weights", data: str = "folder:imagenet") -> dict[str, object]:
    return {"official": {"kind": kind, "file": file}, "data": data}


def test_a_released_file_becomes_a_supernet_that_is_evaluated_and_exported(
    client: TestClient, database: Database, settings: Settings, imagenet_folder: Path, tmp_path: Path
) -> None:
    answer = client.post("/v1/supernets", json=body())
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert (found["name"], found["source"], found["family"]) == ("ofa-mbv3-w1.0", "official", "mobilenet_v3")
    assert len(found["classes"]) == 1000 and found["classes"][0] == "tench" and found["licence"] == "MIT"
    assert found["preprocessing"]["mean"] == list(imagenet.MEAN) and found["preprocessing"]["crop"] == 0.875
    assert found["data"]["outputs"] == [0, 2]
    assert max(net["top1"] for net in found["report"]["published"]) > 74
    assert client.post("/v1/supernets", json=body()).status_code == 200

    with database.read() as held:
        row = queries.find(held, DEFAULT_PROJECT, Supernet, name="ofa-mbv3-w1.0")
        assert row is not None
        spec = bench_of(settings, row)
    bench = open_bench(spec)
    assert bench.data.expected is not None and bench.data.expected.outputs == (0, 2)
    arch = bench.family.space().from_ofa({"ks": 3, "e": 3, "d": 2, "r": 128})
    form = {"format": "onnx", "precision": "fp32", "opset": 18, "batch": None, "quality": None}
    form["licence"] = found["licence"]
    request = tasks.ExportIn(bench=spec, arch=arch.as_dict(), **form)
    exported = tasks.export(request, lambda *_: None)
    assert exported.parity["max_error"] <= 1e-4
    path = tmp_path / "subnet.onnx"
    path.write_bytes(bench.store.read(exported.sha256))
    metadata = read_metadata(path)
    assert metadata["preprocessing"]["crop"] == 0.875 and metadata["licence"] == "MIT"
    logits = session(path).run(None, {"image": np.zeros((1, 3, 128, 128), np.float32)})[0]
    assert logits.shape == (1, 1000)
    population = bench.family.space().encode([arch]).tolist()
    evaluated = tasks.evaluate(
        tasks.EvaluateIn(bench=spec, population=population, split="validation"), lambda *_: None
    )
    assert evaluated.evaluations[0].n == 20


REFUSED = (
    ({"kind": "ofa_mbv3_d234_e346_k357_w1.2"}, f"It looks like {KIND}"),
    ({"kind": "ofa_mbv4"}, "unknown official checkpoint .*ofa_mbv3_d234_e346_k357_w1.0"),
    ({"file": "part"}, r"\([\d,]+ bytes, SHA-256 [0-9a-f]{64}\) cannot be read: the download is incomplete"),
    ({"file": "empty"}, "is empty"),
    ({"file": "code"}, "must hold tensors alone; other objects could run code, so it was not loaded"),
    ({"file": "absent"}, "official.file"),
    ({"file": "../weights"}, "official.file"),
    ({"data": "folder:others"}, "classes must be ImageNet's, .*got \\['cat', 'dog'\\]"),
    ({"data": "folder:absent"}, "absent"),
)


class Touch:
    """A pickle that makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return (open, (str(self._path), "w"))


def test_what_cannot_be_imported_is_refused_and_nothing_is_stored(
    client: TestClient, settings: Settings, imagenet_folder: Path, tmp_path: Path
) -> None:
    content = (imagenet_folder / "weights").read_bytes()
    (imagenet_folder / "part").write_bytes(content[: len(content) // 2])
    (imagenet_folder / "empty").touch()
    torch.save({"state_dict": {"blocks.0": Touch(tmp_path / "touched")}}, imagenet_folder / "code")
    shutil.copytree(imagenet_folder / "imagenet", imagenet_folder / "others")
    for split in ("train", "val", "test"):
        for wnid, name in zip(CLASSES, ("cat", "dog"), strict=True):
            (imagenet_folder / "others" / split / wnid).rename(imagenet_folder / "others" / split / name)
    before = stored(settings)
    for changes, message in REFUSED:
        answer = client.post("/v1/supernets", json=body(**changes))
        assert answer.status_code == 422, changes
        assert re.search(message, answer.json()["detail"]), (changes, answer.text)
    assert client.get("/v1/supernets").json()["items"] == []
    assert stored(settings) == before and not (tmp_path / "touched").exists()


def stored(settings: Settings) -> set[str]:
    """Every file of the service but its database."""
    return {str(path) for path in settings.home.rglob("*") if path.is_file() and ".db" not in path.name}
