"""Padded texts: the elastic network skips padding and computes what the padded network does."""

from __future__ import annotations

import pytest
import torch

from supernets.elastic.active import use
from supernets.elastic.layers.packed import Packed, padded_anywhere, without_common_padding
from supernets.extract import extract
from supernets.families.bert import Bert
from tests.small import TEXT_FAMILY

LENGTHS = torch.tensor([[9], [1], [4], [6]])


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_outputs_and_gradients_are_those_of_the_padded_network(pooling: str) -> None:
    torch.manual_seed(0)
    family = Bert.from_config({**TEXT_FAMILY, "num_classes": 3, "pooling": pooling})
    net = family.build().eval()
    ids = torch.randint(0, family.settings.vocabulary, (4, 12))
    mask = (torch.arange(12) < LENGTHS).long()
    assert padded_anywhere(mask)
    for arch in (family.space().max(), family.space().min()):
        plain = extract(net, arch, None)
        expected = plain(ids, mask)
        with use(net, arch):
            found = net(ids, mask)
            assert torch.allclose(found, expected, atol=1e-6)
            assert torch.equal(net(torch.where(mask == 1, ids, 7), mask), found)
        net.zero_grad()
        found.square().sum().backward()
        expected.square().sum().backward()
        width = plain.classifier.weight.shape[1]
        for own, theirs in ((net.classifier, plain.classifier), (net.words, plain.words)):
            assert own.weight.grad is not None
            assert torch.allclose(own.weight.grad[:, :width], theirs.weight.grad, atol=1e-5)


def test_packing_keeps_the_order_and_puts_zeros_at_padding() -> None:
    mask = (torch.arange(12) < LENGTHS).long()
    ids, cut = without_common_padding(torch.arange(48).view(4, 12), mask)
    assert ids.shape == cut.shape == (4, 9)
    packed = Packed.of(cut, torch.zeros(4, 1, 1, 9))
    x = torch.randn(4, 9, 5)
    assert torch.equal(packed.pack(x), torch.cat([x[k, : int(n)] for k, n in enumerate(LENGTHS)]))
    assert torch.equal(packed.spread(packed.pack(x)), x * cut[..., None])
    assert not padded_anywhere(torch.ones(2, 3))
