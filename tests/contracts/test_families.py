"""What every family promises; registering one is being tested."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from supernets import FAMILIES
from supernets.elastic.active import use
from supernets.elastic.recalibrate import recalibrate
from supernets.errors import ArchError, SpaceError
from supernets.extract import extract
from supernets.families.family import Family
from supernets.spaces.cost import costs
from supernets.spaces.space import Arch
from tests.small import SMALL

CONFIGS = {
    "mobilenet_v3": [SMALL, {**SMALL, "widths": [0.5, 1.0], "kernels": [3, 5, 7], "expansions": [2]}],
}


def cases() -> list[tuple[str, dict[str, object]]]:
    return [(name, config) for name in FAMILIES for config in CONFIGS[name]]


@pytest.fixture(params=cases(), ids=lambda case: f"{case[0]}-{len(case[1])}")
def family(request: pytest.FixtureRequest) -> Family:
    name, config = request.param
    return FAMILIES.load(name).from_config(config)


def archs(family: Family, n: int = 4) -> list[Arch]:
    space = family.space()
    return [space.min(), space.max(), *space.decode(space.sample(np.random.default_rng(0), n))]


def images(family: Family, arch: Arch, n: int = 6) -> torch.Tensor:
    return torch.randn(n, *family.input_shape(arch), generator=torch.Generator().manual_seed(1))


def net_of(family: Family) -> torch.nn.Module:
    torch.manual_seed(0)
    net = family.build()
    for norm in net.norms().values():
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias)
    return net.eval()


def counted_macs(net: nn.Module, x: torch.Tensor) -> int:
    """MACs counted the slow way, by watching every layer of a plain network run."""
    total = 0

    def count(module: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        nonlocal total
        weight = module.weight
        positions = output[0].numel() // weight.shape[0]
        total += weight.numel() * positions

    hooks = [m.register_forward_hook(count) for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    net(x)
    for hook in hooks:
        hook.remove()
    return total


def test_config_round_trip(family: Family) -> None:
    again = type(family).from_config(family.config())
    assert again.config() == family.config()
    assert again.space() == family.space()
    with pytest.raises(SpaceError, match="choices"):
        type(family).from_config({**family.config(), "colour": 3})


def test_extract_equals_use_and_costs_are_exact(family: Family) -> None:
    net = net_of(family)
    table = family.costs(family.space().encode(archs(family)))
    for row, arch in enumerate(archs(family)):
        x = images(family, arch)
        stats = recalibrate(net, arch, x)
        plain = extract(net, arch, stats)
        with torch.no_grad(), use(net, arch, stats):
            expected = net(x)
            got = plain(x)
        assert (got - expected).abs().max() / max(1, expected.abs().max()) <= 1e-5
        closed = costs(family.layers(arch))
        assert closed["params"] == sum(p.numel() for p in plain.parameters())
        assert closed["macs"] == counted_macs(plain, x[:1])
        state = sum(v.numel() * 4 for k, v in plain.state_dict().items() if "num_batches" not in k)
        assert closed["size_mb"] == pytest.approx(state / 1e6)
        assert {k: pytest.approx(v[row]) for k, v in table.items()} == closed


def test_extracted_networks_hold_copies(family: Family) -> None:
    net = net_of(family)
    arch = family.space().min()
    plain = extract(net, arch, None)
    before = {name: value.clone() for name, value in plain.state_dict().items()}
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(1.0)
    assert all(torch.equal(before[name], value) for name, value in plain.state_dict().items())


def test_state_is_restored_after_an_exception(family: Family) -> None:
    net = net_of(family)
    space = family.space()
    x = images(family, space.max())
    with torch.no_grad():
        before = net(x)
    with pytest.raises(RuntimeError, match="stop"), use(net, space.min()):
        assert net.arch == space.min()
        raise RuntimeError("stop")
    assert net.arch == space.max()
    with torch.no_grad():
        assert torch.equal(net(x), before)


def test_nothing_is_written_by_running(family: Family) -> None:
    net = net_of(family)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    for arch in archs(family):
        x = images(family, arch)
        recalibrate(net, arch, x)
        net.train()
        with use(net, arch, dropout=0.5):
            net(x)
        net.eval()
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_foreign_archs_and_statistics_are_refused(family: Family) -> None:
    net = net_of(family)
    space = family.space()
    stats = recalibrate(net, space.max(), images(family, space.max()))
    with pytest.raises(ArchError, match="belong to"), use(net, space.min(), stats):
        pass
    with pytest.raises(ArchError), use(net, Arch((("colour", 3),))):
        pass
