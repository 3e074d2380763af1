"""What every exporter promises, on a real subnet and real images."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from supernets import EXPORTERS
from supernets.data import load_data, prepare
from supernets.elastic.active import use
from supernets.elastic.recalibrate import recalibrate
from supernets.errors import ExportError
from supernets.export.exporter import Exported, Exporter
from supernets.export.metadata import file_metadata
from supernets.export.parity import prove_parity
from supernets.extract import extract
from tests.small import interface_of, small_family


@dataclass
class Case:
    exporter: Exporter
    net: nn.Module
    images: Tensor
    wanted: Tensor  # of the supernet itself, not of the extracted network
    path: Path
    exported: Exported
    metadata: dict[str, str]


@pytest.fixture(scope="module", params=list(EXPORTERS))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    data = load_data("digits")
    torch.manual_seed(0)
    family = small_family()
    net, arch = family.build().eval(), family.space().max()
    side = family.dimensions(arch)["height"]
    images = prepare(data.test.images[:40], side, data.mean, data.std)
    stats = recalibrate(net, arch, (prepare(data.train.images[:128], side, data.mean, data.std),), 64)
    with torch.inference_mode(), use(net, arch, stats):
        wanted = net(images)
    metadata = file_metadata(
        supernet="digits",
        arch=arch.as_dict(),
        weights_sha256="0" * 64,
        stats_sha256=stats.sha256,
        preprocessing={**data.preprocessing(), **family.dimensions(arch)},
        task="image_classification",
        classes=data.classes,
        quality={"metric": "accuracy", "value": 0.5, "n": 360, "split": "test"},
        licence="Apache-2.0",
    )
    exporter = EXPORTERS.load(request.param)()
    plain = extract(net, arch, stats)
    path = tmp_path_factory.mktemp("export") / f"subnet{exporter.suffix}"
    yield Case(
        exporter,
        plain,
        images,
        wanted,
        path,
        exporter.export(plain, (images[:1],), path, interface_of(images), metadata=metadata),
        metadata,
    )


@pytest.mark.parametrize("batch", [1, 2, 7, 40])
def test_any_batch_gives_what_the_supernet_gives(case: Case, batch: int) -> None:
    run = case.exporter.load(case.path)
    got = torch.from_numpy(run({"image": case.images[:batch].numpy()}))
    error = (got - case.wanted[:batch]).abs().max() / max(1.0, float(case.wanted.abs().max()))
    assert got.shape == (batch, 10) and float(error) <= 1e-5


def test_parity_is_proven_far_within_the_tolerance(case: Case) -> None:
    parity = prove_parity(
        case.net, case.path, (case.images,), interface_of(case.images), exporter=case.exporter.name
    )
    assert parity.max_error <= 1e-5 and parity.n == 40 and parity.batch_sizes == (1, 3, 40)


def test_the_record_says_what_was_written(case: Case) -> None:
    record = case.exported.as_json()
    assert EXPORTERS[record["format"]] and record["precision"] == "fp32" and "path" not in record
    assert record["size_bytes"] == case.path.stat().st_size
    assert record["exporter"] and record["exporter_version"]


def test_one_file_and_no_other(case: Case) -> None:
    assert [entry.name for entry in case.path.parent.iterdir()] == [case.path.name]


def test_the_file_names_no_path_of_this_machine(case: Case) -> None:
    content = case.path.read_bytes()
    assert str(Path(__file__).parents[2]).encode() not in content
    assert str(Path(torch.__file__).parents[1]).encode() not in content
    assert b"File " not in content and b".py" not in content


def test_the_file_says_what_it_is(case: Case) -> None:
    found = case.exporter.read(case.path)
    assert {f"netwright.{key}" for key in found} == set(case.metadata)
    assert found["arch"]["resolution"] == found["preprocessing"]["height"] == 16
    assert found["classes"] == [str(i) for i in range(10)] and found["quality"]["n"] == 360


def test_equal_networks_give_equal_bytes_and_the_network_is_left_alone(case: Case, tmp_path: Path) -> None:
    before = {name: tensor.clone() for name, tensor in case.net.state_dict().items()}
    again = case.exporter.export(
        case.net, (case.images[5:8],), tmp_path / "again", interface_of(case.images), metadata=case.metadata
    )
    assert again.sha256 == case.exported.sha256
    after = case.net.state_dict()
    assert list(before) == list(after) and all(torch.equal(before[name], after[name]) for name in before)
    assert not any(module.training for module in case.net.modules())
    assert all(p.grad is None and p.requires_grad for p in case.net.parameters())


def test_the_file_runs_where_there_is_no_torch(case: Case) -> None:
    if case.exporter.needs_torch:
        pytest.skip(f"a {case.exporter.name} file needs torch")
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np\nfrom pathlib import Path\n"
        "from supernets.export.runtime import session\nfrom supernets.export.metadata import read_metadata\n"
        "path = Path(sys.argv[1]); loaded = session(path)\n"
        "print(loaded.run(None, {loaded.get_inputs()[0].name: np.zeros((3, 1, 16, 16), np.float32)})[0].shape)\n"
        "print(read_metadata(path)['supernet'])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, str(case.path)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).parents[2],
    )
    assert answer.stdout.split("\n")[:2] == ["(3, 10)", "digits"], answer.stderr


class Broken(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("no such layer")


def test_a_failure_leaves_the_older_file_and_nothing_else(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "subnet"
    path.write_bytes(b"older")
    with pytest.raises(ExportError, match="no such layer"):
        case.exporter.export(Broken().eval(), (case.images,), path, interface_of(case.images))
    assert path.read_bytes() == b"older" and len(list(tmp_path.iterdir())) == 1


def test_what_may_not_be_exported_is_refused_before_anything_is_written(case: Case, tmp_path: Path) -> None:
    path, plain = tmp_path / "subnet", nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    with pytest.raises(ExportError, match=r"eval\(\)"):
        case.exporter.export(plain.train(), (case.images,), path, interface_of(case.images))
    with pytest.raises(ExportError, match="float64"):
        case.exporter.export(
            nn.Conv2d(1, 2, 3).double().eval(), (case.images,), path, interface_of(case.images)
        )
    for example in (case.images[0], case.images[:0], case.images.double()):
        with pytest.raises(ExportError, match="must have|must be float32"):
            case.exporter.export(plain.eval(), (example,), path, interface_of(case.images))
    with pytest.raises(ExportError, match=r"latency_ms"):
        case.exporter.export(
            plain.eval(),
            (case.images,),
            path,
            interface_of(case.images),
            metadata={"netwright.latency_ms": "3"},
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("keep", [0, 10, 1000, -20])
def test_a_truncated_file_is_refused(case: Case, tmp_path: Path, keep: int) -> None:
    path = tmp_path / "subnet"
    path.write_bytes(case.path.read_bytes()[:keep])
    with pytest.raises(ExportError, match="subnet"):
        prove_parity(case.net, path, (case.images,), interface_of(case.images), exporter=case.exporter.name)


def test_a_missing_file_is_refused(case: Case, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="is none"):
        case.exporter.load(tmp_path / "nothing")
