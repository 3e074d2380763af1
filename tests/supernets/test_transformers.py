"""Exact invariants of the transformer families: slices, kept layers, counts, sorted heads, padding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from supernets.elastic.active import use
from supernets.elastic.reorder import reorder
from supernets.errors import SpaceError
from supernets.export.onnx import OnnxExporter
from supernets.export.parity import prove_parity
from supernets.extract import extract
from supernets.families.bert import Bert
from supernets.families.gpt import Gpt
from supernets.families.transformers.space import TransformerFamily
from supernets.families.vit import Vit
from supernets.spaces.cost import costs
from supernets.spaces.transformer import kept_layers
from supernets.tasks.language_modelling import LanguageModelling
from supernets.tasks.text_classification import TextClassification
from tests.contracts.test_families import VIT, counted_macs
from tests.small import TEXT_FAMILY, example_inputs

FAMILIES: dict[str, TransformerFamily] = {
    "bert": Bert.from_config({**TEXT_FAMILY, "depths": [1, 2, 4], "num_classes": 3}),
    "bert-spread": Bert.from_config(
        {**TEXT_FAMILY, "depths": [2, 3, 5], "keep": "spread", "pooling": "mean"}
    ),
    "gpt": Gpt.from_config({**TEXT_FAMILY, "depths": [1, 2, 4]}),
    "vit": Vit.from_config({**VIT, "depths": [1, 3]}),
}


@pytest.fixture(params=list(FAMILIES))
def family(request: pytest.FixtureRequest) -> TransformerFamily:
    return FAMILIES[request.param]


def net_of(family: TransformerFamily) -> Any:
    torch.manual_seed(0)
    net = family.build().eval()
    for parameter in net.parameters():
        nn.init.normal_(parameter, 0.1, 0.3)
    return net


@pytest.mark.parametrize(
    ("depth", "largest", "keep", "kept"),
    [
        (3, 6, "first", (0, 1, 2)),
        (3, 6, "spread", (0, 2, 5)),
        (4, 12, "spread", (0, 3, 7, 11)),
        (1, 6, "spread", (0,)),
        (6, 6, "spread", (0, 1, 2, 3, 4, 5)),
    ],
)
def test_which_layers_a_depth_keeps(depth: int, largest: int, keep: str, kept: tuple[int, ...]) -> None:
    assert kept_layers(depth, largest, keep) == kept


def test_closed_form_equals_counts_of_random_archs(family: TransformerFamily) -> None:
    net, space = net_of(family), family.space()
    rows = space.sample(np.random.default_rng(0), 100 if family.name in ("bert", "vit") else 25)
    table = family.costs(rows)
    for index, arch in enumerate(space.decode(rows)):
        plain = extract(net, arch, None)
        inputs = tuple(each[:1] for each in example_inputs(family, arch))
        layers = family.layers(arch)
        assert table["params"][index] == sum(p.numel() for p in plain.parameters())
        assert table["macs"][index] == counted_macs(plain, inputs)
        watched = [
            (row.in_elements, row.out_elements) for row in layers if row.kind in ("linear", "layer_norm")
        ]
        assert watched == elements(plain, inputs, (nn.Linear, nn.LayerNorm)) + [
            (row.in_elements, row.out_elements) for row in layers if row.shared
        ]
        scores = [row.heads * row.in_positions**2 for row in layers if row.kind == "attention"]
        assert table["activation_mb"][index] * 1e6 / 4 >= max(scores)
        assert costs(layers)["activation_mb"] == pytest.approx(table["activation_mb"][index])


def elements(
    net: nn.Module, inputs: tuple[torch.Tensor, ...], kinds: tuple[type, ...]
) -> list[tuple[int, int]]:
    """Elements that enter and leave each layer of some kinds, in order of execution."""
    seen: list[tuple[int, int]] = []
    hooks = [
        module.register_forward_hook(lambda _m, x, y: seen.append((x[0].numel(), y.numel())))
        for module in net.modules()
        if isinstance(module, kinds)
    ]
    with torch.no_grad():
        net(*inputs)
    for hook in hooks:
        hook.remove()
    return seen


def test_every_weight_of_a_subnet_is_a_leading_slice(family: TransformerFamily) -> None:
    net, space = net_of(family), family.space()
    state = dict(net.named_parameters())
    for arch in (space.min(), space.max(), *space.decode(space.sample(np.random.default_rng(1), 5))):
        kept, sizes = [block.index for block in family.plan(arch).blocks], net.sizes(arch)
        plain = dict(extract(net, arch, None).named_parameters())
        for place, index in enumerate(kept):
            for name, value in plain.items():
                if name.startswith(f"layers.{place}."):
                    own = name.replace(f"layers.{place}.", f"layers.{index}.", 1)
                    part = state[own][tuple(slice(size) for size in sizes[own])]
                    assert torch.equal(value, part), name
        used = net.used(arch)
        assert used.keys() == state.keys()
        gradients = gradient_of(net, family, arch)
        for name, mask in used.items():
            assert not bool((gradients[name] != 0)[mask == 0].any()), f"{name} is used outside its slice"


def gradient_of(net: Any, family: TransformerFamily, arch: Any) -> dict[str, torch.Tensor]:
    net.zero_grad()
    with use(net, arch):
        net(*example_inputs(family, arch)).square().sum().backward()
    return {
        name: torch.zeros_like(p) if p.grad is None else p.grad.clone() for name, p in net.named_parameters()
    }


def test_sorting_heads_and_neurons_leaves_the_outputs_and_puts_the_important_first(
    family: TransformerFamily,
) -> None:
    net, largest = net_of(family), family.space().max()
    inputs = example_inputs(family, largest)
    with torch.no_grad():
        before = net(*inputs)
        only = family.space().restrict({axis.name: [axis.choices[-1]] for axis in family.space().axes})
        reorder(net, net.channel_groups(), only)
        after = net(*inputs)
    assert (after - before).abs().max() <= 1e-5 * max(1, float(before.abs().max()))
    output = net.layers[0].attention.output.weight.abs().sum(0).view(-1, family.settings.head_size).sum(1)
    down = net.layers[0].feed_forward.down.weight.abs().sum(0)
    assert torch.equal(output, output.sort(descending=True).values)
    assert torch.equal(down, down.sort(descending=True).values)


def test_padding_and_longer_padding_change_nothing() -> None:
    family = FAMILIES["bert"]
    net, arch = net_of(family), family.space().min()
    ids, mask = example_inputs(family, arch)
    ids, mask = ids[2:3], mask[2:3]
    length = int(mask.sum())
    assert 0 < length < ids.shape[1]
    other = torch.where(mask == 1, ids, 7)
    with torch.no_grad(), use(net, arch):
        whole, changed, cut = net(ids, mask), net(other, mask), net(ids[:, :length], mask[:, :length])
    assert torch.equal(whole, changed) and torch.allclose(whole, cut, atol=1e-5)


def test_a_token_of_gpt_sees_none_after_it() -> None:
    family = FAMILIES["gpt"]
    net, arch = net_of(family), family.space().max()
    (ids,) = example_inputs(family, arch)
    changed = ids.clone()
    changed[:, 9:] = 1
    with torch.no_grad(), use(net, arch):
        first, second = net(ids), net(changed)
    assert torch.allclose(first[:, :9], second[:, :9], atol=1e-5) and not torch.allclose(first, second)


@pytest.mark.parametrize("name", ["bert", "bert-spread", "gpt"])
def test_a_file_takes_any_batch_and_three_lengths(name: str, tmp_path: Path) -> None:
    family = FAMILIES[name]
    task = LanguageModelling() if name == "gpt" else TextClassification()
    net, arch = net_of(family), family.space().min()
    plain, inputs = extract(net, arch, None), example_inputs(family, arch)
    interface = task.interface(family.dimensions(arch))
    assert all(set(axes.values()) == {"batch", "sequence"} for axes in interface.dynamic)
    OnnxExporter().export(plain, inputs, tmp_path / "net.onnx", interface)
    parity = prove_parity(plain, tmp_path / "net.onnx", inputs, interface)
    assert parity.max_error <= 1e-5 and parity.lengths == (4, 8, 16)
    assert parity.as_json()["lengths"] == [4, 8, 16]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sequence": 40}, "sequence must lie in 1 to positions"),
        ({"keep": "last"}, "keep must be one of first, spread"),
        ({"activation": "swish"}, "activation must be one of"),
        ({"heads": [2, 1]}, "heads must be positive and strictly ascending"),
        ({"colour": 1}, "unknown bert settings"),
        ({"pooling": "last"}, "pooling must be one of first, mean"),
        ({"depths": [200]}, "at most 128 blocks"),
    ],
)
def test_bad_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        Bert.from_config({**TEXT_FAMILY, **changes})
