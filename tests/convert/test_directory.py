"""A converted network as a supernet directory: loaded, evaluated as the original, and trained further."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from supernets.checkpoints import load_supernet
from supernets.convert import convert
from supernets.convert.directory import Expects, ranked_on, write_supernet
from supernets.convert.ranking import Labelled
from supernets.data import load_data
from supernets.errors import ConvertError
from supernets.extract import extract
from supernets.official.nets import expecting
from supernets.spaces.space import Space
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


def test_a_subnet_is_a_network_that_converts_again() -> None:
    x = torch.randn(2, 1, 32, 32)
    found = convert(network(), x)
    smaller = extract(
        found.net, found.family.space().arch(dict.fromkeys(found.family.offered.values(), 0.5)), None
    )
    again = convert(smaller, x)
    sizes = {axis.name: max(axis.choices.values()) for axis in found.axes}
    assert {axis.name: max(axis.choices.values()) for axis in again.axes} == {
        n: k // 2 for n, k in sizes.items()
    }
    with torch.no_grad():
        whole = extract(again.net, again.family.space().max(), None)
        torch.testing.assert_close(whole(x), smaller(x), rtol=1e-4, atol=1e-5)


def test_channels_are_ranked_on_the_data_prepared_as_the_network_expects(tmp_path: Path) -> None:
    net, data = network(), load_data("digits")
    found = convert(net, torch.randn(2, 1, 32, 32))
    expects = Expects((0.5,), (0.25,))
    again = ranked_on(found, "fisher", data, expects=expects, examples=40)
    assert again.importance == "fisher"
    x = (data.train.head(40).float() / 255 - 0.5) / 0.25
    labelled = [Labelled((x,), data.train.labels[:40], F.cross_entropy)]
    expected = convert(net, x[:2], importance="fisher", labelled=labelled)
    for index, name in found.family.offered.items():
        torch.testing.assert_close(
            again.scores[index], expected.scores[index], rtol=1e-4, atol=1e-12, msg=name
        )
        assert torch.equal(again.net.unit_order(index), expected.net.unit_order(index))
    manifest = write_supernet(again, data, tmp_path / "net", name="net", expects=expects)
    assert manifest.report["converted"]["importance"] == manifest.recipe["importance"] == "fisher"


def test_a_network_that_does_not_fit_the_data_or_the_task_is_refused(tmp_path: Path) -> None:
    data = load_data("digits")
    with pytest.raises(ConvertError, match="10 outputs.*got 7 outputs"):
        write_supernet(convert(network(7), torch.randn(2, 1, 32, 32)), data, tmp_path / "a", name="a")
    case = next(case for case in CASES if case.name == "autoencoder")
    with pytest.raises(ConvertError, match="one image"):
        write_supernet(convert(built(case), case.inputs(2)), data, tmp_path / "b", name="b")
    assert not list(tmp_path.iterdir())


def width_of(channels: int) -> torch.nn.Module:
    body = torch.nn.Sequential(unit(1, channels), unit(channels, 2 * channels, 3, 2))
    return Flat(body, 2 * channels, 10).eval()


def test_networks_with_the_same_axes_have_spaces_of_their_own() -> None:
    x = torch.randn(2, 1, 32, 32)
    narrow, wide = (convert(width_of(channels), x).family.space() for channels in (16, 32))
    again = convert(width_of(16), x).family.space()
    assert narrow.axes == wide.axes and narrow.allowed == wide.allowed
    assert narrow != wide and narrow.sha256 != wide.sha256
    assert narrow == again and narrow.sha256 == again.sha256
    finer = convert(width_of(16), x, multiple=2).family.space()
    assert finer.axes == narrow.axes and finer.sha256 != narrow.sha256  # other numbers of channels
    part = narrow.restrict({"width": [1.0]})
    assert part.networks == narrow.networks and Space.from_json(part.as_json()) == part
