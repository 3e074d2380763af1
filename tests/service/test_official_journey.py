"""A released once-for-all supernet from its file to networks that run: import, search, export, by real processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from netwright.client import Client
from netwright.client.fronts import Point
from netwright.client.supernets import Supernet
from netwright.errors import ApiError
from service.settings import Settings
from supernets import FAMILIES
from supernets.export.metadata import read_metadata
from supernets.export.runtime import session
from tests.predictors.test_imported_mlp import npz
from tests.predictors.toy import operators
from tests.service.house import House
from tests.service.test_official_import import KIND, imagenet_folder  # noqa: F401

pytestmark = pytest.mark.timeout(1800)
RESOLUTION, TRIES = 128, 5
SMALL = {"resolution": [RESOLUTION], "depth": [2], "expand": [3]}


@pytest.fixture
def client(settings: Settings, imagenet_folder: Path, tmp_path: Path) -> Iterator[Client]:  # noqa: F811
    (tmp_path / "logs").mkdir()
    house = House(settings, tmp_path / "logs", NETWRIGHT_IMPORT_DIR=str(imagenet_folder))
    house.serve()
    house.start("worker")
    with Client(house.url) as client:
        yield client
    house.close()


def published(folder: Path) -> None:
    """An accuracy predictor and a latency table in the layouts of the released ones, with values made up here."""
    random = np.random.default_rng(0)
    sizes = (128, 400, 400, 400, 1)
    layers = [
        ((random.random((outputs, inputs)) - 0.5) / inputs**0.5, np.zeros(outputs))
        for inputs, outputs in zip(sizes, sizes[1:], strict=False)
    ]
    layers[-1][1][:] = 0.75
    (folder / "accuracy.npz").write_bytes(npz(layers))
    table = operators(FAMILIES.load("mobilenet_v3").from_config({}))
    rows = {name: {"mean": value, "count": 10} for name, value in table.items()}
    (folder / "latency.yaml").write_text(json.dumps(rows))  # JSON is YAML


def test_from_a_released_file_to_networks_that_run(
    client: Client,
    imagenet_folder: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    published(imagenet_folder)
    supernet = client.supernets.import_official(KIND, "weights", data="folder:imagenet")
    client.targets.add(name="cpu")
    accuracy = client.predictors.import_file(supernet.name, "accuracy.npz", on_server=True)
    latency = client.predictors.import_file(supernet.name, "latency.yaml", target="cpu", on_server=True)
    for predictor in (accuracy, latency):
        assert predictor.wait(300).state == "succeeded"
    assert (accuracy.kind, latency.kind) == ("imported_mlp", "operator_table")

    search = client.searches.create(
        supernet.name,
        target="cpu",
        constraints={"latency_ms": 10_000.0},
        budget=2,
        restrict=SMALL,
        algorithm="nsga2",
    ).wait(900)
    for _ in range(TRIES):
        if search.feasible:
            break
        search = search.extend(evaluations=2).wait(900)  # a busy machine refused the latencies
    front = search.front()
    assert search.feasible and len(front) >= 1
    for point in front:
        assert point.quality is not None and (point.quality.split, point.quality.n) == ("test", 20)
        assert point.measured[0].metric == "latency_ms" and point.measured[0].value > 0
        assert point.arch["resolution"] == RESOLUTION
    files_run(supernet, front[0], tmp_path)
    again = front[0].download_onnx(tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "fp32.onnx").read_bytes()
    assert again.sha256 is not None

    (imagenet_folder / "imagenet").rename(imagenet_folder / "away")
    with pytest.raises(ApiError, match="looked for at .*imagenet") as refused:
        front[0].download_onnx(tmp_path / "absent.onnx", precision="int8", batch=4)
    assert refused.value.status == 422
    assert {(each.precision, each.batch) for each in client.subnets.get(front[0].id).exports} == {
        ("fp32", "dynamic"),
        ("fp16", "1"),
        ("int8", "dynamic"),
    }
    assert not (tmp_path / "absent.onnx").exists()


def files_run(supernet: Supernet, point: Point, folder: Path) -> None:
    """Each precision is a file that runs and knows ImageNet's classes and preprocessing."""
    logits = {}
    for precision, opset, batch in (("fp32", 17, "dynamic"), ("fp16", 18, 1), ("int8", 21, "dynamic")):
        path = folder / f"{precision}.onnx"
        form = {} if precision == "fp32" else {"opset": opset, "batch": batch}
        record = point.download_onnx(path, precision=precision, **form)
        told = read_metadata(path)
        assert len(told["classes"]) == 1000 and told["licence"] == "MIT"
        assert told["preprocessing"]["crop"] == 0.875 and told["weights_sha256"] == supernet.weights_sha256
        assert record.parity is not None and record.parity["n"] >= 8
        if precision == "fp32":
            assert record.parity["max_error"] <= 1e-4
        else:
            change = record.parity["change"]
            assert change["n"] > 0 and change["bytes"][precision] < change["bytes"]["fp32"]
            assert (change["activation"] in ("u8", "s8")) == (precision == "int8")
        torch.manual_seed(0)
        image = torch.randn(1, 3, RESOLUTION, RESOLUTION).numpy()
        [logits[precision]] = session(path).run(None, {"image": image})
        assert logits[precision].shape == (1, 1000) and np.isfinite(logits[precision]).all()
    assert np.corrcoef(logits["fp32"][0], logits["fp16"][0])[0, 1] > 0.99
