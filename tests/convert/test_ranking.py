"""Scores that order channels, each against a plain calculation for every channel, and networks sliced by them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernets.convert import Converted, convert
from supernets.convert.importances import IMPORTANCES
from supernets.convert.ranking import SCORES, Labelled, importance_of
from supernets.convert.slicing import closed_form, slices
from supernets.errors import ConvertError
from supernets.extract import extract


class Chain(nn.Module):
    """One group of 16 channels with a BatchNorm, and one of 8 without."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.second, self.head = nn.Conv2d(16, 8, 1), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.gated(F.relu(self.norm(self.first(x))))
        return self.head(F.relu(self.second(hidden)).mean((2, 3)))

    def gated(self, hidden: Tensor) -> Tensor:
        return hidden


@pytest.fixture(scope="module")
def chain() -> Chain:
    torch.manual_seed(0)
    net = Chain()
    nn.init.normal_(net.norm.weight)
    nn.init.normal_(net.norm.bias)
    return net.eval()


@pytest.fixture(scope="module")
def labelled() -> Labelled:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(6, 3, 8, 8, generator=generator)
    return Labelled((images,), torch.randint(0, 5, (6,), generator=generator), F.cross_entropy)


def converted(chain: Chain, labelled: Labelled, importance: str = "magnitude") -> Converted:
    return convert(
        chain, labelled.inputs, widths=[i / 8 for i in range(1, 9)], multiple=1, importance=importance,
        labelled=[labelled],
    )  # fmt: skip


def first_of(found: Converted, scores: dict[int, Tensor]) -> Tensor:
    (index,) = (i for i, group in enumerate(found.family.groups.groups) if group.name == "first")
    return scores[index]


def parts(chain: Chain, tensors: dict[str, Tensor], unit: int) -> Tensor:
    """All entries of one channel of the first group."""
    own = [tensors[f"{name}"][unit] for name in ("first.weight", "norm.weight", "norm.bias")]
    return torch.cat([each.flatten() for each in [*own, tensors["second.weight"][:, unit]]]).double()


def test_the_criteria_of_hesso_are_those_of_the_paper(chain: Chain, labelled: Labelled) -> None:
    found = converted(chain, labelled)
    loss = F.cross_entropy(chain(*labelled.inputs), labelled.targets)
    names = [name for name, _ in chain.named_parameters()]
    slopes = dict(zip(names, torch.autograd.grad(loss, list(chain.parameters())), strict=True))
    own = {name: parameter.detach() for name, parameter in chain.named_parameters()}
    x = torch.stack([parts(chain, own, unit) for unit in range(16)])
    g = torch.stack([parts(chain, slopes, unit) for unit in range(16)])
    product = (x * g).sum(1)
    expected = {
        "plain_magnitude": x.norm(dim=1),
        "average_magnitude": x.norm(dim=1) / x.shape[1] ** 0.5,
        "cosine": 1 - product / (x.norm(dim=1) * g.norm(dim=1)).clamp_min(1e-30),
        "taylor": product.abs(),
        "taylor_squared": product.square() / 2,
    }
    for name, value in expected.items():
        got = first_of(found, importance_of(found.net, name, [labelled]))
        torch.testing.assert_close(got, value, rtol=1e-4, atol=1e-7)


def test_fisher_is_the_squared_derivative_for_a_gate_of_each_example(
    chain: Chain, labelled: Labelled, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = converted(chain, labelled)
    got = first_of(found, importance_of(found.net, "fisher", [labelled]))
    expected = torch.zeros(16)
    for single in labelled.singles():
        gate = torch.ones(16, 1, 1, requires_grad=True)
        monkeypatch.setattr(chain, "gated", lambda hidden, gate=gate: hidden * gate)
        (slope,) = torch.autograd.grad(F.cross_entropy(chain(*single.inputs), single.targets), [gate])
        expected += slope[:, 0, 0].square() / 6
    torch.testing.assert_close(got.float(), expected, rtol=1e-4, atol=1e-8)


def test_the_scale_of_a_norm_is_its_weight(chain: Chain, labelled: Labelled) -> None:
    found = converted(chain, labelled)
    got = first_of(found, importance_of(found.net, "norm_scale"))
    torch.testing.assert_close(got.float(), chain.norm.weight.detach().abs())


def test_every_name_has_a_score() -> None:
    assert tuple(SCORES) == IMPORTANCES


@pytest.mark.parametrize("name", IMPORTANCES)
def test_a_subnet_keeps_the_channels_with_the_highest_scores(
    chain: Chain, labelled: Labelled, name: str
) -> None:
    found = converted(chain, labelled, name)
    arch = found.family.space().arch({"first.width": 0.5, "second.width": 1.0})
    kept = extract(found.net, arch, None).get_parameter("first.weight")
    best = torch.argsort(first_of(found, found.scores), descending=True, stable=True)[:8].sort().values
    assert torch.equal(kept, chain.first.weight[best])
    assert found.importance == name


def test_unknown_scores_and_absent_examples_are_refused(chain: Chain, labelled: Labelled) -> None:
    with pytest.raises(ConvertError, match="'fischer'; choices: magnitude, .*fisher"):
        convert(chain, labelled.inputs, importance="fischer")
    with pytest.raises(ConvertError, match="'taylor' needs labelled examples; without any: magnitude"):
        convert(chain, labelled.inputs, importance="taylor")


def test_slices_are_nested_and_at_most_as_large_as_asked(chain: Chain, labelled: Labelled) -> None:
    found = converted(chain, labelled, "fisher")
    family, shares = found.family, (0.9, 0.25, 0.5)
    cost = closed_form(family, "macs")
    archs = slices(family, found.scores, cost, shares)
    population = family.space().encode([family.space().max(), *archs])
    costs = cost(population)
    assert all(got <= share * costs[0] for got, share in zip(costs[1:], shares, strict=True))
    assert (population[[0, 1, 3]] >= population[[1, 3, 2]]).all()
    with pytest.raises(ConvertError, match="no network has a share of 0.001"):
        slices(family, found.scores, cost, [0.001])
    with pytest.raises(ConvertError, match="one of params, macs"):
        closed_form(family, "latency_ms")


def test_slices_remove_what_has_no_effect_first(chain: Chain, labelled: Labelled) -> None:
    found = converted(chain, labelled)
    sizes = {index: len(group.units) for index, group in enumerate(found.family.groups.groups)}
    useless = {index: torch.ones(size, dtype=torch.float64) for index, size in sizes.items()}
    (second,) = (i for i, group in enumerate(found.family.groups.groups) if group.name == "second")
    useless[second][2:] = 0.0
    params = closed_form(found.family, "params")
    space = found.family.space()
    target = space.arch({"first.width": 1.0, "second.width": 0.25})
    share = float(params(space.encode([target]))[0] / params(space.encode([space.max()]))[0])
    assert slices(found.family, useless, params, [share + 1e-9]) == [target]
