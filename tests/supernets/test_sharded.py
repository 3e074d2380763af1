"""A training that was split becomes a supernet like any other: each arch is what its own network makes of it."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from supernets.checkpoints import Supernet, load_supernet
from supernets.data import load_data
from supernets.elastic.active import use
from supernets.elastic.sharded import ShardedNet
from supernets.errors import CheckpointError
from supernets.evaluate import calibrate, evaluate_arch, evaluate_net
from supernets.extract import extract
from supernets.manifest import Manifest
from supernets.recipes.recipe import Recipe
from supernets.training.finish import finish
from supernets.training.loop import Training
from tests.small import TASK, image_shape, small_family, train

DATA = load_data("digits")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Training, Supernet, Path]:
    values = Recipe.read("gradient_split").as_json()
    values |= {"steps": 8, "batch_size": 8, "schedule": {}, "ema_decay": 0.5}
    values["controllers"] = [{"kind": "gradient_split", "at": [0.25, 0.5], "repeats": 1, "axes": 2}]
    out = tmp_path_factory.mktemp("split") / "four"
    recipe = Recipe.parse(values)
    training = train(recipe, small_family(), DATA, out / "training", evaluate_every=8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("supernets.report_card.card.RANDOM", 4)
        patch.setattr("supernets.report_card.card.PANEL", 3)
        finish(training, "four", out / "training", out)
    return training, load_supernet(out), out


def test_every_arch_is_evaluated_and_cut_out_of_its_own_network(
    made: tuple[Training, Supernet, Path],
) -> None:
    training, supernet, _ = made
    assert isinstance(supernet.net, ShardedNet) and len(supernet.net.nets) == len(training.shards) == 4
    space = supernet.space
    archs = [space.min(), space.max(), *space.decode(space.sample(np.random.default_rng(0), 10))]
    seen = set()
    for arch in archs:
        own = training.result_of(arch)
        seen.add(next(k for k, shard in enumerate(training.shards) if shard.result is own))
        assert all(torch.equal(v, supernet.net.of(arch).state_dict()[n]) for n, v in own.state_dict().items())
        own = copy.deepcopy(own).to(memory_format=torch.contiguous_format)  # as it is after loading
        stats = calibrate(supernet.net, TASK, DATA, arch)
        assert stats.sha256 == calibrate(own, TASK, DATA, arch).sha256
        images = torch.randn(
            3, *image_shape(supernet.family, arch), generator=torch.Generator().manual_seed(0)
        )
        with torch.no_grad(), use(supernet.net, arch, stats), use(own.eval(), arch, stats):
            shared, expected = supernet.net(images), own(images)
            plain = extract(supernet.net, arch, stats)(images)
        assert torch.equal(shared, expected)
        assert float((plain - shared).abs().max()) <= 1e-5 * max(1.0, float(shared.abs().max()))
    assert len(seen) > 1
    smallest = evaluate_arch(supernet, DATA, space.min(), "validation")
    own = copy.deepcopy(training.result_of(space.min())).to(memory_format=torch.contiguous_format)
    assert smallest == evaluate_net(own, TASK, DATA, space.min(), "validation")
    assert supernet.manifest.report["panel"][0]["validation"]["value"] == pytest.approx(
        smallest.value, abs=1 / 360
    )


def test_the_manifest_names_the_regions_and_they_share_out_the_space(
    made: tuple[Training, Supernet, Path],
) -> None:
    training, supernet, out = made
    regions = supernet.manifest.regions()
    assert [region.allowed for region in regions] == [shard.region.allowed for shard in training.shards]
    assert sum(region.size() for region in regions) == supernet.space.size()
    assert "4 networks, each for the subnets with: " in (out / "report.md").read_text()


def test_running_statistics_are_those_of_the_largest_of_each_region(
    made: tuple[Training, Supernet, Path],
) -> None:
    _, supernet, _ = made
    for net, region in zip(supernet.net.nets, supernet.manifest.regions(), strict=True):
        stats = calibrate(net, TASK, DATA, region.max())
        for name, (mean, _) in stats.values.items():
            assert torch.allclose(net.norms()[name].running_mean[: len(mean)], mean, atol=1e-5)


def test_regions_that_do_not_fit_are_refused(made: tuple[Training, Supernet, Path], tmp_path: Path) -> None:
    _, supernet, out = made
    values = supernet.manifest.as_json()
    for shards in ([{"colour": [1]}], [{"kernel": [99]}], [3], ["kernel"]):
        with pytest.raises(CheckpointError, match="cannot be made|does not fit"):
            Manifest.parse(values | {"shards": shards})
    shutil.copytree(out, tmp_path / "three")
    manifest = supernet.manifest.model_copy(update={"shards": supernet.manifest.shards[:3]})
    (tmp_path / "three" / "manifest.json").write_text(json.dumps(manifest.as_json()))
    with pytest.raises(CheckpointError, match="match the network exactly"):
        load_supernet(tmp_path / "three")
