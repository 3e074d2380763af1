"""What every family promises; registering one is being tested."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from supernets import FAMILIES
from supernets.convert import convert
from supernets.elastic.active import use
from supernets.elastic.recalibrate import recalibrate
from supernets.errors import ArchError, SpaceError
from supernets.extract import extract
from supernets.families.family import Family
from supernets.spaces.cost import costs
from supernets.spaces.space import Arch
from tests.convert.networks import residual
from tests.small import SMALL, TEXT_FAMILY, example_inputs

TABLE = {
    "space": {
        "axes": [
            {"name": "n", "kind": "n", "choices": [1, 2], "parent": None, "active_when": []},
            {"name": "op0", "kind": "op", "choices": [0, 1, 2], "parent": None, "active_when": []},
            {"name": "op1", "kind": "op", "choices": [0, 1, 2], "parent": "n", "active_when": [2]},
        ],
        "allowed": [[0, 1], [0, 1, 2], [0, 1, 2]],
    },
    "layout": {"columns": [["n", "value"], ["op", "digits"]], "depth": "n"},
    "costs": None,
}
SEGMENTS = [
    {"axes": ["n"], "params": [3.0, 5.0], "macs": [10.0, 20.0]},
    {"axes": ["op0"], "params": [0.0, 1.0, 2.0], "macs": [0.0, 30.0, 60.0]},
    {"axes": ["op1"], "params": [0.0, 1.0, 2.0], "macs": [0.0, 30.0, 60.0]},
]
COSTS = ("params", "macs")
RESNET = {
    "num_classes": 10,
    "image_channels": 1,
    "divisor": 4,
    "stem_width": 8,
    "stage_widths": [16, 24],
    "strides": [1, 2],
    "base_depths": [1, 2],
    "depths": [0, 1],
    "resolutions": [16, 18],
    "expansions": [0.25, 0.5],
    "widths": [0.5, 1.0],
}


@lru_cache
def traced(index: int) -> dict[str, Any]:
    """The configuration of a small residual network, converted when a test asks for it."""
    settings: dict[str, Any] = ({}, {"skip": True, "widths": (0.5, 1.0)})[index]
    torch.manual_seed(0)
    return convert(residual(), torch.randn(2, 3, 16, 16), **settings).family.config()


VIT = {
    **{
        key: value for key, value in TEXT_FAMILY.items() if key not in ("vocabulary", "positions", "sequence")
    },
    "num_classes": 10,
    "image_channels": 1,
    "patch": 4,
    "resolutions": [8, 16],
}
CONFIGS = {
    "bert": [
        {**TEXT_FAMILY, "num_classes": 10},
        {**TEXT_FAMILY, "depths": [1, 2, 3], "keep": "spread", "pooling": "mean", "pooler": "none"},
    ],
    "gpt": [TEXT_FAMILY, {**TEXT_FAMILY, "num_classes": 5, "widths": [16]}],
    "vit": [VIT, {**VIT, "resolutions": [12], "heads": [2], "keep": "spread", "activation": "relu"}],
    "table": [TABLE, {**TABLE, "costs": {"known": ["params", "macs"], "segments": SEGMENTS}}],
    "proxyless": [
        {
            **SMALL,
            "base_width": 1.0,
            "stages": [{"width": 8, "stride": 2}, {"width": 12, "stride": 1, "depths": [1]}],
            "head_width": None,
        },
        {**SMALL, "stages": [{"width": 8, "stride": 2, "activation": "relu6"}], "head_width": None},
    ],
    "resnet50": [
        RESNET,
        {**RESNET, "stem_depths": [1], "widths": [1.0], "depths": [0], "resolutions": [18]},
    ],
    "traced": [partial(traced, 0), partial(traced, 1)],
    "mobilenet_v3": [SMALL, {**SMALL, "widths": [0.5, 1.0], "kernels": [3, 5, 7], "expansions": [2]}],
}


def cases(has_network: bool) -> list[tuple[str, int]]:
    every = [(name, index) for name in FAMILIES for index in range(len(CONFIGS[name]))]
    return [(name, index) for name, index in every if FAMILIES.load(name).has_network == has_network]


def config(name: str, index: int = 0) -> dict[str, Any]:
    """A configuration of a family; one that takes seconds to make is made at the first call."""
    found: Any = CONFIGS[name][index]
    return dict(found() if callable(found) else found)


def made(case: tuple[str, int]) -> Family:
    name, index = case
    family: Family = FAMILIES.load(name).from_config(config(name, index))
    return family


@pytest.fixture(params=cases(True), ids=lambda case: f"{case[0]}-{case[1]}")
def family(request: pytest.FixtureRequest) -> Family:
    return made(request.param)


@pytest.fixture(params=cases(False), ids=lambda case: f"{case[0]}-{case[1]}")
def bare(request: pytest.FixtureRequest) -> Family:
    return made(request.param)


def test_a_family_without_networks_has_a_space_and_its_known_costs_and_nothing_more(bare: Family) -> None:
    test_config_round_trip(bare)
    arch = bare.space().max()
    for refused in (bare.build, lambda: bare.dimensions(arch)):
        with pytest.raises(SpaceError, match="no networks"):
            refused()
    table = bare.costs(bare.space().encode(archs(bare)))
    for row, arch in enumerate(archs(bare)):
        closed = costs(bare.layers(arch))
        assert {name: table[name][row] for name in bare.known_costs} == {
            name: closed[name] for name in bare.known_costs
        }
        assert {name for name in COSTS if closed[name] > 0} == set(bare.known_costs)


def archs(family: Family, n: int = 4) -> list[Arch]:
    space = family.space()
    return [space.min(), space.max(), *space.decode(space.sample(np.random.default_rng(0), n))]


def net_of(family: Family) -> torch.nn.Module:
    torch.manual_seed(0)
    net = family.build()
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm2d | nn.LayerNorm):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias)
    return net.eval()


def counted_macs(net: nn.Module, inputs: tuple[torch.Tensor, ...]) -> int:
    """MACs counted the slow way, by watching every operator of a plain network run: two operations each.

    The fused attention of the CPU is not counted by torch, so attention runs as two products.
    """
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        net(*inputs)
    return counter.get_total_flops() // 2


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
        inputs = example_inputs(family, arch)
        stats = recalibrate(net, arch, inputs)
        plain = extract(net, arch, stats)
        with torch.no_grad(), use(net, arch, stats):
            expected = net(*inputs)
            got = plain(*inputs)
        assert (got - expected).abs().max() / max(1, expected.abs().max()) <= 1e-5
        closed = costs(family.layers(arch))
        assert closed["params"] == sum(p.numel() for p in plain.parameters())
        assert closed["macs"] == counted_macs(plain, tuple(each[:1] for each in inputs))
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
    inputs = example_inputs(family, space.max())
    with torch.no_grad():
        before = net(*inputs)
    with pytest.raises(RuntimeError, match="stop"), use(net, space.min()):
        assert net.arch == space.min()
        raise RuntimeError("stop")
    assert net.arch == space.max()
    with torch.no_grad():
        assert torch.equal(net(*inputs), before)


def test_nothing_is_written_by_running(family: Family) -> None:
    net = net_of(family)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    for arch in archs(family):
        inputs = example_inputs(family, arch)
        recalibrate(net, arch, inputs)
        net.train()
        with use(net, arch, dropout=0.5):
            net(*inputs)
        net.eval()
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_foreign_archs_and_statistics_are_refused(family: Family) -> None:
    net = net_of(family)
    space = family.space()
    stats = recalibrate(net, space.max(), example_inputs(family, space.max()))
    with pytest.raises(ArchError, match="belong to"), use(net, space.min(), stats):
        pass
    with pytest.raises(ArchError), use(net, Arch((("colour", 3),))):
        pass
