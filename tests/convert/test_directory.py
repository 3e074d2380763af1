"""A converted network as a supernet directory: loaded, evaluated as the original, and trained further."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from supernets.checkpoints import load_supernet
from supernets.convert import convert
from supernets.convert.directory import Expects, write_supernet
from supernets.data import load_data
from supernets.errors import ConvertError
from supernets.official.nets import expecting
from supernets.training.plan import TrainingFiles
from tests.convert.networks import CASES, Flat, built, unit


def network(classes: int = 10) -> torch.nn.Module:
    torch.manual_seed(0)
    return Flat(torch.nn.Sequential(unit(1, 16), unit(16, 24, 3, 2)), 24, classes).eval()


def test_a_directory_is_the_network_and_can_be_trained_further(tmp_path: Path) -> None:
    net, data = network(), load_data("digits")
    found = convert(net, torch.randn(2, 1, 32, 32))
    expects = Expects((0.5,), (0.25,), 1.0)
    write_supernet(found, data, tmp_path / "net", name="net", expects=expects)
    supernet = load_supernet(tmp_path / "net")
    assert supernet.space == found.family.space()
    seen = expecting(data, supernet.manifest)
    stored = data.test.images[:8]
    (x,) = supernet.task.prepare(
        stored, seen.preprocessing(), supernet.family.dimensions(supernet.space.max())
    )
    with torch.no_grad():
        assert torch.allclose(x, (stored.float() / 255 - 0.5) / 0.25, atol=1e-6)
        assert torch.allclose(supernet.net(x), net(x), atol=1e-5)
    plan = TrainingFiles(recipe="random", source=tmp_path / "net", steps=2).plan()
    assert plan.data.name == data.name and plan.family.space() == supernet.space


def test_a_network_that_does_not_fit_the_data_or_the_task_is_refused(tmp_path: Path) -> None:
    data = load_data("digits")
    with pytest.raises(ConvertError, match="10 outputs.*got 7 outputs"):
        write_supernet(convert(network(7), torch.randn(2, 1, 32, 32)), data, tmp_path / "a", name="a")
    case = next(case for case in CASES if case.name == "autoencoder")
    with pytest.raises(ConvertError, match="one image"):
        write_supernet(convert(built(case), case.inputs(2)), data, tmp_path / "b", name="b")
    assert not list(tmp_path.iterdir())
