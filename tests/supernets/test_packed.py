"""Padded texts: the elastic network skips padding and computes what the padded network does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import supernets.evaluate as evaluation
from supernets.data import load_data
from supernets.elastic.active import use
from supernets.elastic.layers.packed import Packed, padded_anywhere, without_common_padding
from supernets.evaluate import example_scores
from supernets.export.runtime import Session, memory_session
from supernets.extract import extract
from supernets.families.bert import Bert
from supernets.tasks.text_classification import TextClassification
from tests.small import TEXT_FAMILY, small_texts

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


def test_texts_of_similar_length_are_computed_together_each_once() -> None:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 17, (75, 1), generator=generator)
    mask = (torch.arange(16) < lengths).long()
    ids = torch.randint(1, 256, (75, 16), generator=generator) * mask
    parts = list(TextClassification().together((ids, mask), 32))
    assert torch.equal(torch.cat([places for places, _ in parts]).sort().values, torch.arange(75))
    assert [len(places) for places, _ in parts] == [32, 32, 11]
    longest = lengths.flatten().sort().values
    for (places, (cut, cut_mask)), most in zip(parts, longest[[31, 63, 74]], strict=True):
        assert cut.shape == cut_mask.shape == (len(places), int(most))
        assert torch.equal(cut, ids[places, : int(most)]) and torch.equal(cut_mask, mask[places, : int(most)])
        assert cut.is_contiguous() and int(cut_mask.sum()) == int(lengths[places].sum())


def test_an_evaluation_through_the_runtime_skips_padding_and_has_the_same_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, task = load_data(small_texts(tmp_path, rows=600)), TextClassification()
    torch.manual_seed(0)
    sizes = {"sequence": 48, "positions": 48, "num_classes": 3}
    net = Bert.from_config({**TEXT_FAMILY, **sizes}).build().eval()
    shapes = []

    class Counted:
        def __init__(self, session: Session) -> None:
            self.session = session

        def run(self, names: None, feed: dict[str, NDArray[np.generic]]) -> list[NDArray[np.generic]]:
            shapes.append(feed["input_ids"].shape)
            return self.session.run(names, feed)

    monkeypatch.setattr(evaluation, "memory_session", lambda *given: Counted(memory_session(*given)))
    for arch in (net.family.space().min(), net.family.space().max()):
        found = []
        for threshold in (float("inf"), 0.0):
            monkeypatch.setattr(evaluation, "RUNTIME_FROM_MACS", threshold)
            found.append(example_scores(net, task, data, arch, None, "validation"))
        assert torch.equal(*found)
    examples = len(data.validation)
    longest = max(width for _, width in shapes)
    assert sum(n for n, _ in shapes) == 2 * examples
    assert min(width for _, width in shapes) < longest < sizes["sequence"]
