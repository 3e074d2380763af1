"""Heads and the places within them as axes of a converted network: units, files, older configurations, words."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernets.convert import Converted, convert
from supernets.convert.ranking import Labelled, importance_of
from supernets.extract import extract
from supernets.families.traced import Traced
from supernets.recipes.pruners.pruner import kept_units, zeroed
from supernets.spaces.cost import costs
from tests.convert.test_random_attention import TOKENS, WIDTH, Form, network


class Small(nn.Module):
    """A layer with 4 heads of 8 channels, and one that normalises its queries and keys within each head."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(20, 32)
        self.norms = nn.ModuleList(nn.LayerNorm(32) for _ in range(2))
        self.qkv = nn.ModuleList(nn.Linear(32, 96) for _ in range(2))
        self.out = nn.ModuleList(nn.Linear(32, 32) for _ in range(2))
        self.each, self.head = nn.LayerNorm(8), nn.Linear(32, 5)

    def gated(self, x: Tensor) -> Tensor:
        """Queries of the first layer."""
        return x

    def forward(self, ids: Tensor) -> Tensor:
        x = self.words(ids)
        n, t, c = x.shape
        for index, (norm, qkv, out) in enumerate(zip(self.norms, self.qkv, self.out, strict=True)):
            q, k, v = (z.view(n, t, 4, 8).transpose(1, 2) for z in qkv(norm(x)).split(c, -1))
            q, k = (self.each(q), self.each(k)) if index else (self.gated(q), k)
            x = x + out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, c))
        return self.head(x.mean(1))


@pytest.fixture(scope="module")
def found() -> Converted:
    torch.manual_seed(0)
    return convert(Small().eval(), torch.randint(20, (2, 6)))


def test_each_layer_has_heads_and_two_widths_of_them(found: Converted) -> None:
    kept = {axis.name: list(axis.choices.values()) for axis in found.axes}
    assert kept == {
        "qkv.0.width": [24, 48, 72, 96],
        "qkv.0/2.width": [16, 32, 48, 64],  # 8 places, of queries and of keys
        "qkv.0/3.width": [8, 16, 24, 32],
        "qkv.1.width": [24, 48, 72, 96],
        "qkv.1/2.width": [8, 16, 24, 32],
    }
    assert all(axis.exact for axis in found.axes)
    words = [axis.unit for axis in found.axes]
    assert words[:3] == ["24 channels", "8 channels, one of each part", "4 channels, one of each part"]
    assert words[3].startswith("24 channels, whole: a statistic over channels")
    assert "layer_norm" in words[3] and words[4] == words[2]


def test_the_scale_of_scores_stays_that_of_the_original(found: Converted) -> None:
    cut, _ = found.net._cut(found.family.space().min())
    attention = [node for node in cut.graph.nodes if node.kind == "scaled_dot_product_attention"]
    assert [node.args.get("scale", None) for node in attention] == [1 / math.sqrt(8)] * 2


def test_multiples_count_places_and_no_heads(found: Converted) -> None:
    family = Traced(found.family.graph, found.family.settings.__class__(multiple=2, decisions={"places": 1}))
    kept = {
        axis: list(family.settings.kept(family.groups.groups[k]).values())
        for k, axis in family.offered.items()
    }
    assert kept["qkv.0.width"] == [1, 2, 3, 4] and kept["qkv.0/2.width"] == [2, 4, 6, 8]


def test_layers_are_costed_in_parts_where_axes_have_very_many_choices(
    found: Converted, monkeypatch: pytest.MonkeyPatch
) -> None:
    space, rows = found.family.space(), found.family.rows
    archs = space.decode(space.sample(np.random.default_rng(0), 20))
    monkeypatch.setattr("supernets.families.converted.traced_space.MAX_TABLE", 10)
    parts = Traced.from_config(found.family.config())
    assert max(len(row.axes) for row in parts.rows) == 2 < max(len(row.axes) for row in rows)
    for arch in archs:
        whole, divided = costs(found.family.layers(arch)), costs(parts.layers(arch))
        assert all(whole[name] == divided[name] for name in ("params", "macs", "size_mb"))
    assert "activation_mb" not in parts.known_costs  # a layer counts as several


def test_a_configuration_from_before_has_whole_heads(found: Converted) -> None:
    config = {**found.family.config(), "decisions": {}}
    family = Traced.from_config(config)
    assert [axis.name for axis in family.space().axes] == ["qkv.0.width", "qkv.1.width"]
    assert family.config() == config
    (attention, _) = (node for node in family.graph.nodes if node.kind == "scaled_dot_product_attention")
    assert "scale" not in attention.args


@torch.no_grad()
def test_a_network_without_zeros_is_the_one_with_them(found: Converted) -> None:
    net = Traced.from_config(found.family.config()).build().eval()
    net.load_state_dict(found.net.state_dict())
    units, rng = net.units(), torch.Generator().manual_seed(0)
    gone = torch.rand(sum(units.sizes), generator=rng) < 0.4
    start = 0
    for size in units.sizes:
        gone[start] = False
        start += size
    weights = dict(net.named_parameters())
    counts = units.sums({name: torch.ones_like(value) for name, value in weights.items()})
    assert counts[: units.sizes[0]].tolist() == [24 * 33.0] * 4  # rows of a head and their biases
    for name, value in zeroed(units, weights, gone).items():
        weights[name].copy_(value)
    smaller = net.without_zeros()
    assert isinstance(smaller.family, Traced)
    plain = extract(smaller, smaller.family.space().max(), None)
    assert sum(each.numel() for each in plain.parameters()) == units.cost("params", kept_units(units, gone))
    assert costs(smaller.family.layers(smaller.family.space().max()))["macs"] == units.cost(
        "macs", kept_units(units, gone)
    )
    ids = torch.randint(20, (3, 6), generator=rng)
    torch.testing.assert_close(smaller(ids), net(ids), rtol=1e-5, atol=1e-5)


def test_fisher_of_places_that_no_weight_reads_is_that_of_a_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(2)
    net, ids, targets = Small().eval(), torch.randint(20, (4, 6)), torch.tensor([0, 3, 1, 2])
    labelled = Labelled((ids,), targets, F.cross_entropy)
    found = convert(net, ids)
    scores = importance_of(found.net, "fisher", [labelled])
    (index,) = (i for i, group in enumerate(found.family.groups.groups) if group.name == "qkv.0/2")
    expected = torch.zeros(8)
    for single in labelled.singles():
        gate = torch.ones(8, requires_grad=True)
        monkeypatch.setattr(net, "gated", lambda x, gate=gate: x * gate)
        (slope,) = torch.autograd.grad(F.cross_entropy(net(*single.inputs), single.targets), [gate])
        expected += slope.square() / 4
    torch.testing.assert_close(scores[index].float(), expected, rtol=1e-3, atol=1e-9)


@torch.no_grad()
def test_shared_keys_of_groups_of_heads_have_axes_too() -> None:
    form = Form(4, 4, 6, "separate", "fused", "padding", "grouped", True, True)
    net = network(form, 3)
    shared = convert(net, torch.randn(2, TOKENS, WIDTH, dtype=torch.float64), multiple=1)
    assert sorted(max(axis.choices.values()) for axis in shared.axes) == [12, 16, 16]
    assert {axis.modules[0] for axis in shared.axes} == {"q", "val"}
