from __future__ import annotations

import logging
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor, nn

from supernets.data import load_data, prepare
from supernets.elastic.recalibrate import recalibrate
from supernets.errors import ExportError
from supernets.export import onnx as exporters
from supernets.export.exporter import Exported
from supernets.export.metadata import file_metadata, read_metadata
from supernets.export.onnx import OnnxExporter, export_for_measuring
from supernets.export.parity import prove_parity, relative_error
from supernets.export.runtime import session
from supernets.extract import extract
from supernets.manifest import Manifest
from tests.small import interface_of, small_family


@pytest.fixture(scope="module")
def images() -> Tensor:
    data = load_data("digits")
    return prepare(data.test.images[:12], 8, data.mean, data.std)


@pytest.fixture(scope="module")
def net(images: Tensor) -> nn.Module:
    torch.manual_seed(1)
    family = small_family()
    arch = family.space().arch({**family.space().max().as_dict(), "resolution": 8})
    elastic = family.build().eval()
    return extract(elastic, arch, recalibrate(elastic, arch, (images,)))


@pytest.fixture(scope="module")
def exported(net: nn.Module, images: Tensor, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    path = tmp_path_factory.mktemp("direct") / "subnet.onnx"
    return OnnxExporter().export(net, (images[:1],), path, interface_of(images))


@pytest.fixture(scope="module")
def reference(net: nn.Module, images: Tensor, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    path = tmp_path_factory.mktemp("reference") / "subnet.onnx"
    return OnnxExporter(direct=False).export(net, (images[:1],), path, interface_of(images))


@pytest.fixture(scope="module")
def measured(net: nn.Module, images: Tensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("measured") / "subnet.onnx"
    export_for_measuring(net, (images[:1],), path, interface_of(images))
    return path


# files that are handed out


@pytest.mark.parametrize(("opset", "ir_version"), [(17, 8), (18, 8), (19, 9), (20, 9), (21, 10)])
def test_a_file_has_the_opset_asked_for_and_its_lowest_ir_version(
    net: nn.Module, images: Tensor, tmp_path: Path, opset: int, ir_version: int
) -> None:
    path, interface = tmp_path / "a.onnx", interface_of(images)
    exported = OnnxExporter().export(net, (images,), path, interface, opset=opset)
    written = onnx.load(path)
    assert (exported.opset_requested, exported.opset) == (opset, opset)
    assert [entry.version for entry in written.opset_import] == [opset]
    assert written.ir_version == ir_version
    assert prove_parity(net, path, (images,), interface).max_error <= 1e-5


def test_another_ir_version_is_an_option(net: nn.Module, images: Tensor, tmp_path: Path) -> None:
    path, interface = tmp_path / "a.onnx", interface_of(images)
    OnnxExporter().export(net, (images,), path, interface, ir_version=10)
    assert onnx.load(path).ir_version == 10
    for wrong in (7, 99):
        with pytest.raises(ExportError, match=rf"ir_version must lie in 8\.\.\d+ for opset 18, got {wrong}"):
            OnnxExporter().export(net, (images,), tmp_path / "b.onnx", interface, ir_version=wrong)
    assert not (tmp_path / "b.onnx").exists()


def test_the_direct_file_computes_what_the_reference_does(
    exported: Exported, reference: Exported, images: Tensor
) -> None:
    assert "torch" in reference.exporter and "torch" not in exported.exporter
    got, expected = (
        OnnxExporter().load(file.path)({"image": images.numpy()}) for file in (exported, reference)
    )
    assert np.abs(got - expected).max() <= 1e-5


class Odd(nn.Module):
    """Has a layer without a rule."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x).flatten(1)[:, :10]


def test_a_layer_without_a_rule_goes_to_torch(images: Tensor, tmp_path: Path) -> None:
    net, path, interface = Odd().eval(), tmp_path / "a.onnx", interface_of(images)
    exported = OnnxExporter().export(net, (images,), path, interface)
    assert "torch" in exported.exporter and onnx.load(path).ir_version == 8
    assert prove_parity(net, path, (images,), interface).max_error <= 1e-5
    with pytest.raises(ExportError, match="opset must be at least 18 .* got 17 .*no rule for the call"):
        OnnxExporter().export(net, (images,), path, interface, opset=17)


OLDEST = {"onnxruntime": "1.15.1", "numpy": "1.26.4"}
"""The first runtime with opset 18 that has a wheel for this Python."""
RUN_OLDEST = """
import sys; sys.path.insert(0, sys.argv[1])
import numpy, onnxruntime
assert onnxruntime.__version__ == sys.argv[2], onnxruntime.__version__
session = onnxruntime.InferenceSession(sys.argv[3], providers=["CPUExecutionProvider"])
numpy.save(sys.argv[4], session.run(None, {"image": numpy.load(sys.argv[5])})[0])
"""


def test_a_file_runs_in_the_oldest_runtime_of_its_opset(
    net: nn.Module, images: Tensor, tmp_path: Path
) -> None:
    wheels = [f"{name}=={version}" for name, version in OLDEST.items()]
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(tmp_path / "old")]
    installed = subprocess.run([*install, *wheels], capture_output=True, text=True, timeout=120)
    if installed.returncode:
        pytest.skip(f"{', '.join(wheels)} cannot be installed: {installed.stderr.strip()[-200:]}")
    path = tmp_path / "subnet.onnx"
    OnnxExporter().export(net, (images,), path, interface_of(images), opset=18)
    np.save(tmp_path / "images.npy", images.numpy())
    arguments = [str(tmp_path / "old"), OLDEST["onnxruntime"], str(path)]
    files = [str(tmp_path / "logits.npy"), str(tmp_path / "images.npy")]
    done = subprocess.run(
        [sys.executable, "-S", "-c", RUN_OLDEST, *arguments, *files],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    with torch.inference_mode():
        expected = net(images).numpy()
    assert np.abs(np.load(tmp_path / "logits.npy") - expected).max() <= 1e-4


@pytest.mark.parametrize("opset", [0, 16, 22, 10**6])
def test_an_opset_out_of_range_is_refused(net: nn.Module, images: Tensor, tmp_path: Path, opset: int) -> None:
    with pytest.raises(ExportError, match=r"17\.\.21"):
        OnnxExporter().export(net, (images,), tmp_path / "a.onnx", interface_of(images), opset=opset)


def test_names_and_shapes_are_those_users_see(exported: Exported) -> None:
    loaded = session(exported.path)
    assert [(i.name, i.shape) for i in loaded.get_inputs()] == [("image", ["batch", 1, 8, 8])]
    assert [(o.name, o.shape) for o in loaded.get_outputs()] == [("logits", ["batch", 10])]


def test_the_file_is_a_valid_model(exported: Exported) -> None:
    onnx.checker.check_model(onnx.load(exported.path), full_check=True)


def test_a_file_of_somebody_else_says_nothing_about_itself(measured: Path) -> None:
    assert read_metadata(measured) == {}


def test_metadata_is_json_without_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        file_metadata(
            supernet="a",
            arch={},
            weights_sha256="",
            stats_sha256="",
            preprocessing={"mean": [float("nan")]},
            classes=(),
            task="image_classification",
            quality=None,
            licence="",
        )


def test_a_licence_that_was_not_stated_is_absent() -> None:
    values = {"supernet": "a", "arch": {}, "weights_sha256": "", "stats_sha256": "", "preprocessing": {}}
    values |= {"classes": (), "task": "image_classification", "quality": None}
    assert "netwright.licence" not in file_metadata(**values, licence=None)
    assert file_metadata(**values, licence="MIT")["netwright.licence"] == '"MIT"'
    assert Manifest.model_fields["licence"].default is None


def test_the_callers_warnings_and_logs_are_as_before(exported: Exported) -> None:
    logger = logging.getLogger("torch.onnx")
    filters, level = list(warnings.filters), logger.level
    with exporters._quiet():
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        assert not logger.isEnabledFor(logging.WARNING)
        with pytest.raises(UserWarning, match="yours"):
            warnings.warn("yours", stacklevel=1)
    assert warnings.filters == filters and logger.level == level


# files that are only measured


VIEWS = ("Flatten", "Reshape", "Squeeze")  # the same bytes under another shape: nothing is computed


def graph(path: Path, folder: Path) -> list[tuple[str, ...]]:
    """What the runtime really runs: operators in order, with their settings."""
    target = folder / "optimised.onnx"
    session(path, optimized_to=target)
    operators: list[tuple[str, ...]] = []
    for node in onnx.load(target).graph.node:
        settings = sorted(f"{a.name}={onnx.helper.get_attribute_value(a)}" for a in node.attribute)
        operators.append(("view",) if node.op_type in VIEWS else (node.domain, node.op_type, *settings))
    return operators


def test_all_files_of_a_net_run_the_same_operators_in_the_same_order(
    exported: Exported, reference: Exported, measured: Path, tmp_path: Path
) -> None:
    operators = graph(reference.path, tmp_path)
    assert len(operators) > 20 and any("Conv" in operator for operator in operators)
    assert graph(measured, tmp_path) == graph(exported.path, tmp_path) == operators


def test_a_measured_file_computes_the_same_for_its_batch_only(
    net: nn.Module, measured: Path, images: Tensor
) -> None:
    run = OnnxExporter().load(measured)
    with torch.inference_mode():
        wanted = net(images[:1]).numpy()
    assert np.abs(run({"image": images[:1].numpy()}) - wanted).max() <= 1e-5
    with pytest.raises(ExportError, match="batches of 3"):
        prove_parity(net, measured, (images,), interface_of(images))


def test_a_measured_file_appears_whole_or_not_at_all(images: Tensor, tmp_path: Path) -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("no such layer")

    with pytest.raises(ExportError, match="no such layer"):
        export_for_measuring(Broken().eval(), (images,), tmp_path / "a.onnx", interface_of(images))
    assert not list(tmp_path.iterdir())


def test_a_net_in_training_mode_is_not_measured(images: Tensor, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"eval\(\)"):
        export_for_measuring(nn.BatchNorm2d(1), (images,), tmp_path / "a.onnx", interface_of(images))


# parity


def nudge(net: nn.Module, amount: float) -> nn.Module:
    import copy

    other = copy.deepcopy(net)
    with torch.no_grad():
        list(other.parameters())[-1][3] += amount
    return other


def test_another_network_fails(net: nn.Module, exported: Exported, images: Tensor) -> None:
    with pytest.raises(ExportError, match="must hold, but subnet.onnx has 0.0"):
        prove_parity(nudge(net, 0.01), exported.path, (images,), interface_of(images))


def test_the_error_is_the_largest_over_all_images_and_outputs(
    net: nn.Module, exported: Exported, images: Tensor
) -> None:
    parity = prove_parity(nudge(net, 0.01), exported.path, (images,), interface_of(images), tolerance=0.1)
    with torch.inference_mode():
        largest = float(nudge(net, 0.01)(images).abs().max())
    assert parity.max_error == pytest.approx(0.01 / max(1, largest), rel=1e-2)
    assert prove_parity(net, exported.path, (images,), interface_of(images)).max_error < 1e-5


def test_a_network_that_gives_nan_fails(net: nn.Module, exported: Exported, images: Tensor) -> None:
    with pytest.raises(ExportError, match="inf"):
        prove_parity(nudge(net, float("nan")), exported.path, (images,), interface_of(images))


def test_agreement_counts_equal_answers(net: nn.Module, exported: Exported, images: Tensor) -> None:
    assert prove_parity(net, exported.path, (images,), interface_of(images)).agreement == 1.0
    other = prove_parity(
        nudge(net, 100.0), exported.path, (images,), interface_of(images), tolerance=float("inf")
    )
    assert other.agreement < 0.7


def test_the_proof_as_json(net: nn.Module, exported: Exported, images: Tensor) -> None:
    record = prove_parity(net, exported.path, (images,), interface_of(images)).as_json()
    assert record["batch_sizes"] == [1, 3, 12] and record["n"] == 12 and record["tolerance"] == 1e-4
    assert len(record["images_sha256"]) == 64


@pytest.mark.parametrize(
    "spoil",
    [lambda x: x[:1], lambda x: torch.zeros_like(x), lambda x: x[:1].repeat(3, 1, 1, 1), lambda x: x / 0],
    ids=["one", "zeros", "equal", "infinite"],
)
def test_images_that_prove_nothing_are_refused(
    net: nn.Module, exported: Exported, images: Tensor, spoil: Callable[[Tensor], Tensor]
) -> None:
    with pytest.raises(ExportError, match="at least 2 different"):
        prove_parity(net, exported.path, (spoil(images),), interface_of(images))


VALUES = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 5), st.integers(1, 4)), elements=st.floats(-1e3, 1e3, width=32)
)


@given(VALUES, VALUES)
def test_relative_error_equals_a_slow_reference(got: np.ndarray, wanted: np.ndarray) -> None:
    if got.shape != wanted.shape:
        assert relative_error(got, wanted, wanted) == float("inf")
        return
    pairs = list(zip(got.reshape(-1).tolist(), wanted.reshape(-1).tolist(), strict=True))
    expected = max(abs(a - b) for a, b in pairs) / max(1.0, max(abs(b) for _, b in pairs))
    assert relative_error(got, wanted, wanted) == pytest.approx(expected, rel=1e-9)
