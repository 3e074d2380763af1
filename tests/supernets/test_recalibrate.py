"""BatchNorm recalibration against a direct computation."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from supernets.elastic.active import use
from supernets.elastic.norm import BNStats, CollectStats
from supernets.elastic.recalibrate import recalibrate
from supernets.errors import CheckpointError, DataError
from tests.small import small_family


def prepared() -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    return small_family().build().eval(), torch.randn(12, 1, 16, 16)


def test_one_batch_equals_a_direct_computation() -> None:
    net, images = prepared()
    largest = net.family.space().max()
    direct: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

    def record(name: str, bn: nn.BatchNorm2d, x: torch.Tensor) -> torch.Tensor:
        mean, variance = x.double().mean((0, 2, 3)), x.double().var((0, 2, 3), correction=0)
        direct[name] = (mean, variance)
        y = (x - mean.float().view(1, -1, 1, 1)) / (variance.float().view(1, -1, 1, 1) + bn.eps).sqrt()
        return y * bn.weight[: x.shape[1]].view(1, -1, 1, 1) + bn.bias[: x.shape[1]].view(1, -1, 1, 1)

    with torch.no_grad(), use(net, largest, norm=record):
        net(images)
    stats = recalibrate(net, largest, (images,))
    assert set(stats.values) == set(direct) == set(net.norms())
    for name, (mean, variance) in direct.items():
        assert torch.allclose(stats.values[name][0].double(), mean, atol=1e-5)
        assert torch.allclose(stats.values[name][1].double(), variance, rtol=1e-4, atol=1e-7)


def test_overwriting_the_inputs_of_norms_changes_no_bit() -> None:
    net, images = prepared()
    assert net.norms_may_overwrite
    for arch in (net.family.space().min(), net.family.space().max()):
        collect = CollectStats()
        with torch.inference_mode(), use(net, arch, norm=collect):
            for part in images.tensor_split(2):
                net(part)
        assert recalibrate(net, arch, (images,), batch_size=6).sha256 == collect.stats(arch).sha256


def test_batches_are_weighted_by_size_and_variances_averaged() -> None:
    net, images = prepared()
    smallest = net.family.space().min()
    images = images[:, :, :8, :8]
    first, second = (recalibrate(net, smallest, (part,)) for part in (images[:7], images[7:]))
    both = recalibrate(net, smallest, (images,), batch_size=6)
    halves = [recalibrate(net, smallest, (part,)) for part in (images[:6], images[6:])]
    for name, (mean, variance) in both.values.items():
        assert torch.allclose(mean, (halves[0].values[name][0] + halves[1].values[name][0]) / 2, atol=1e-6)
        assert torch.allclose(
            variance, (halves[0].values[name][1] + halves[1].values[name][1]) / 2, atol=1e-6
        )
    assert not torch.equal(first.values["first_conv.bn"][0], second.values["first_conv.bn"][0])


def test_it_is_pure_and_repeatable() -> None:
    net, images = prepared()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    a, b = (recalibrate(net, net.family.space().max(), (images,), batch_size=5) for _ in range(2))
    assert a.sha256 == b.sha256
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_statistics_round_trip_and_refuse_half_a_file() -> None:
    net, images = prepared()
    stats = recalibrate(net, net.family.space().max(), (images,))
    again = BNStats.from_bytes(stats.to_bytes(), stats.arch_id)
    assert again.sha256 == stats.sha256
    half = BNStats.from_bytes(stats.to_bytes(), stats.arch_id)
    with pytest.raises(CheckpointError):
        from safetensors.torch import save

        BNStats.from_bytes(save({"first.mean": half.values["first_conv.bn"][0]}), "x")


def test_one_image_is_too_few() -> None:
    net, images = prepared()
    with pytest.raises(DataError, match="at least 2"):
        recalibrate(net, net.family.space().max(), (images[:1],))
