"""Networks of many kinds: smaller ones equal the original with zeros in its own parameters, or they are refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from supernets.convert import Converted, convert
from supernets.elastic.active import use
from supernets.errors import ConvertError
from supernets.extract import extract
from supernets.families.traced import Traced
from supernets.spaces.cost import costs
from supernets.spaces.space import Arch
from tests.convert.further_networks import FURTHER
from tests.convert.networks import CONVERTED, REFUSED, Case, built, first_tensor

TOLERANCE = 1e-4


@pytest.fixture(
    scope="module", params=[*CONVERTED, *FURTHER], ids=[case.name for case in [*CONVERTED, *FURTHER]]
)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture(scope="module")
def original(case: Case) -> nn.Module:
    return built(case)


@pytest.fixture(scope="module")
def found(case: Case, original: nn.Module) -> Converted:
    torch.manual_seed(1)
    return convert(original, case.inputs(2), output=case.output)


def archs(found: Converted, n: int = 6) -> list[Arch]:
    space = found.family.space()
    return [space.min(), space.max(), *space.decode(space.sample(np.random.default_rng(0), n))]


def examples(case: Case, n: int) -> dict[str, Tensor]:
    torch.manual_seed(n)
    return case.inputs(n)


def positions(before: Tensor, after: Tensor) -> list[Tensor]:
    """Along each axis, where the entries of ``after`` stand in ``before``; all values are different."""
    order = torch.argsort(before.flatten())
    place = torch.searchsorted(before.flatten()[order], after.flatten())
    assert torch.equal(before.flatten()[order][place], after.flatten())
    where = torch.unravel_index(order[place], before.shape)
    kept = []
    for axis, index in enumerate(where):
        lines = index.reshape(after.shape).movedim(axis, 0).reshape(after.shape[axis], -1)
        assert bool((lines == lines[:, :1]).all()), "a smaller weight must be a block of the original's"
        kept.append(lines[:, 0])
    return kept


def masked(original: nn.Module, smaller: nn.Module) -> nn.Module:
    """The original with zeros where the smaller network has no parameters; found by value, not by the converter."""
    zeroed, own = copy.deepcopy(original), dict(smaller.named_parameters())
    with torch.no_grad():
        for name, parameter in zeroed.named_parameters():
            keep = torch.zeros_like(parameter)
            keep[torch.meshgrid(*positions(parameter, own[name]), indexing="ij")] = 1.0
            parameter.mul_(keep)
    return zeroed


def distinct(net: nn.Module) -> Iterator[bool]:
    for parameter in net.parameters():
        yield parameter.unique().numel() == parameter.numel()


def error(one: Tensor, two: Tensor) -> float:
    assert one.shape == two.shape
    return float((one - two).abs().max() / max(1.0, float(two.abs().max())))


@torch.no_grad()
def test_smaller_networks_equal_the_original_with_zeros(
    case: Case, original: nn.Module, found: Converted
) -> None:
    assert all(distinct(original))
    assert all(axis.exact for axis in found.axes)
    for arch in archs(found):
        smaller = extract(found.net, arch, None)
        assert [n for n, _ in smaller.named_parameters()] == [n for n, _ in original.named_parameters()]
        zeroed = masked(original, smaller)
        for n in (1, 3):
            x = examples(case, n)
            expected = first_tensor(zeroed(**x), case)
            assert error(first_tensor(smaller(**x), case), expected) <= TOLERANCE
            assert error(smaller(*x.values()), expected) <= TOLERANCE
            with use(found.net, arch):
                assert error(found.net(*x.values()), expected) <= TOLERANCE


@torch.no_grad()
def test_the_largest_is_the_original(case: Case, original: nn.Module, found: Converted) -> None:
    whole = extract(found.net, found.family.space().max(), None)
    state = original.state_dict()
    assert set(state) <= set(whole.state_dict())
    assert all(torch.equal(whole.state_dict()[name], value) for name, value in state.items())
    x = examples(case, 4)
    assert error(first_tensor(whole(**x), case), first_tensor(original(**x), case)) <= 1e-5


def test_enough_can_be_removed_and_costs_are_those_of_the_networks(case: Case, found: Converted) -> None:
    space = found.family.space()
    chosen = archs(found)
    table = found.family.costs(space.encode(chosen))
    sizes = [sum(p.numel() for p in extract(found.net, arch, None).parameters()) for arch in chosen]
    assert table["params"].tolist() == sizes
    assert [costs(found.family.layers(arch))["params"] for arch in chosen] == sizes
    assert case.least is not None and sizes[0] <= (1 - case.least) * sizes[1]


def test_the_configuration_is_json_and_makes_the_same_family(found: Converted) -> None:
    config = json.loads(json.dumps(found.family.config()))
    again = Traced.from_config(config)
    assert again.config() == found.family.config()
    assert again.space() == found.family.space()


@pytest.mark.parametrize("case", REFUSED, ids=[case.name for case in REFUSED])
def test_what_cannot_be_converted_is_refused_with_the_reason(case: Case) -> None:
    with pytest.raises(ConvertError, match=case.refusal):
        convert(built(case), case.inputs(2), output=case.output)
