"""Exports in other precisions and with a fixed batch."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from supernets.checkpoints import Supernet, load_supernet
from supernets.data import DataSet, Split, load_data
from supernets.elastic.norm import BNStats
from supernets.errors import ExportError
from supernets.evaluate import calibrated
from supernets.export import precision
from supernets.export.metadata import read_metadata
from supernets.export.precision import convert
from supernets.export.runtime import session
from supernets.export.subnet import FileRequest, Written, write_subnet
from supernets.extract import extract
from supernets.metrics import CLEARLY
from supernets.spaces.space import Arch


class Case:
    supernet: Supernet = load_supernet(Path(__file__).parents[2] / "zoo" / "digits")
    data: DataSet = load_data("digits")
    arch: Arch = supernet.space.max()
    stats: BNStats = calibrated(supernet, data, arch)
    net: nn.Module = extract(supernet.net, arch, stats)


@pytest.fixture(scope="module")
def case() -> Case:
    return Case()


def written(case: Case, folder: Path, **form: object) -> Written:
    request = FileRequest(**form)  # type: ignore[arg-type]
    return write_subnet(
        case.supernet, case.data, case.arch, case.net, case.stats.sha256, request, folder, None
    )


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_reduced_precision_states_what_it_changes(case: Case, tmp_path: Path, precision: str) -> None:
    found = written(case, tmp_path, precision=precision, ir_version=9)
    change = found.parity["change"]
    assert found.parity["tolerance"] is None and found.exporter["precision"] == precision
    assert change["n"] == len(case.data.test) and change["split"] == "test"
    quality = change["quality"]
    assert change["difference"] == pytest.approx(quality[precision] - quality["fp32"])
    assert abs(change["difference"]) <= 0.1 and quality["fp32"] >= 0.9
    assert set(change["latency_ms"]) == ({"fp32", "fp16"} if precision == "fp16" else {"fp32", "u8", "s8"})
    assert change["bytes"][precision] == found.path.stat().st_size == found.exporter["size_bytes"]
    model = onnx.load(found.path)
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version == 9 and [entry.version for entry in model.opset_import] == [18]
    assert read_metadata(found.path)["supernet"] == "digits"
    kinds = {node.op_type for node in model.graph.node}
    assert ("QuantizeLinear" in kinds) == (precision == "int8")
    types = {value.data_type for value in model.graph.initializer}
    assert (onnx.TensorProto.FLOAT16 in types) == (precision == "fp16")


def test_int8_weights_have_a_scale_for_each_channel_and_the_faster_activation_is_kept(
    case: Case, tmp_path: Path
) -> None:
    found = written(case, tmp_path, precision="int8")
    change, model = found.parity["change"], onnx.load(found.path)
    times = {kind: change["latency_ms"][kind] for kind in ("u8", "s8")}
    assert change["activation"] == ("s8" if times["s8"] < CLEARLY * times["u8"] else "u8")
    scales = {w.name: list(w.dims) for w in model.graph.initializer if w.name.endswith("weight_scale")}
    assert scales and all(len(dims) == 1 and dims[0] > 1 for dims in scales.values())


@pytest.mark.parametrize(
    "form", [{}, {"precision": "fp16"}, {"precision": "int8"}, {"batch": 3}, {"format": "pt2"}]
)
def test_the_same_subnet_twice_gives_the_same_file(
    case: Case, tmp_path: Path, form: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = set()
    # Which activations are faster is measured; on a busy machine another choice is another file.
    monkeypatch.setattr(precision, "median_ms", lambda files, _example: dict.fromkeys(files, 1.0))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        hashes.add(written(case, tmp_path / name, **form).exporter["sha256"])
    assert len(hashes) == 1


def test_a_fixed_batch_takes_that_batch_only(case: Case, tmp_path: Path) -> None:
    found = written(case, tmp_path, batch=3)
    assert found.parity["batch_sizes"] == (3,) or found.parity["batch_sizes"] == [3]
    loaded = session(found.path)
    (given,) = loaded.get_inputs()
    assert given.shape[0] == 3
    assert loaded.run(None, {given.name: np.zeros(given.shape, np.float32)})[0].shape[0] == 3
    with pytest.raises(Exception, match="Got invalid dimensions"):
        loaded.run(None, {given.name: np.zeros((2, *given.shape[1:]), np.float32)})


@pytest.mark.parametrize("batch", [None, 7, 50])
def test_few_examples_are_enough_for_every_batch(case: Case, tmp_path: Path, batch: int | None) -> None:
    """Fewer test examples than a run takes, and not a multiple of the batch."""
    test = Split("test", case.data.test.images[:21], case.data.test.labels[:21])
    train = Split("train", case.data.train.head(40), case.data.train.labels[:40])
    few = dataclasses.replace(case.data, train=train, test=test)
    request = FileRequest(precision="int8", batch=batch)
    found = write_subnet(case.supernet, few, case.arch, case.net, case.stats.sha256, request, tmp_path, None)
    change = found.parity["change"]
    assert change["n"] == 21 and change["quality"]["fp32"] * 21 == pytest.approx(
        round(change["quality"]["fp32"] * 21)
    )


def test_what_cannot_be_written_is_refused(case: Case, tmp_path: Path) -> None:
    for form in ({"precision": "int4"}, {"precision": "int8", "format": "pt2"}):
        with pytest.raises(ExportError, match="precision must be one of fp32, fp16, int8"):
            written(case, tmp_path, **form)
    fp32 = written(case, tmp_path).path
    feed = {"image": torch.zeros(4, *case.data.train.shape).numpy()}
    with pytest.raises(ExportError, match="at least 16 training examples to calibrate on, got 4"):
        convert(fp32, tmp_path / "b.onnx", "int8", [feed], feed)
    assert not (tmp_path / "b.onnx").exists()
