"""A subnet evaluated through ONNX Runtime has the scores that torch gives."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

import supernets.evaluate as evaluation
from supernets.checkpoints import Supernet, load_supernet
from supernets.data import DataSet, load_data
from supernets.evaluate import (
    calibrate,
    calibration_for,
    evaluate_arch,
    example_scores,
)
from supernets.export.graph import UntranslatedError
from supernets.prepared import first_part
from supernets.spaces.space import Arch

ZOO = Path(__file__).parents[2] / "zoo"
TORCH, RUNTIME = float("inf"), 0.0


def scored(supernet: Supernet, data: DataSet, arch: Arch, split: str, threshold: float) -> torch.Tensor:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "RUNTIME_FROM_MACS", threshold)
        stats = calibrate(supernet.net, supernet.task, data, arch)
        return example_scores(supernet.net, supernet.task, data, arch, stats, split)


def test_the_runtime_and_torch_agree_within_two_images_in_ten_thousand() -> None:
    supernet, data = load_supernet(ZOO / "digits"), load_data("digits")
    space = supernet.space
    archs = [space.min(), *space.decode(space.sample(np.random.default_rng(0), 5)), space.max()]
    images, differing = 0, 0
    for arch in archs:
        for split in ("validation", "test"):
            one, two = (scored(supernet, data, arch, split, each) for each in (TORCH, RUNTIME))
            images, differing = images + len(one), differing + int((one != two).sum())
    assert images == 7 * 720 and differing <= 2 * images / 10_000


@pytest.mark.data
@pytest.mark.skipif(not os.environ.get("NETWRIGHT_DATA"), reason="NETWRIGHT_DATA is not set")
def test_so_do_they_on_colour_images() -> None:
    supernet, data = load_supernet(ZOO / "cifar10"), load_data("cifar10")
    one, two = (scored(supernet, data, supernet.space.min(), "validation", e) for e in (TORCH, RUNTIME))
    assert len(one) == 5000 and int((one != two).sum()) <= 1


def test_small_evaluations_and_layers_without_a_rule_run_in_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    supernet, data = load_supernet(ZOO / "digits"), load_data("digits")
    arch = supernet.space.min()
    calls = []

    def refuse(*_arguments: object) -> None:
        calls.append(1)
        raise UntranslatedError("no rule")

    monkeypatch.setattr(evaluation, "direct_model", refuse)
    expected = evaluate_arch(supernet, data, arch, "validation")
    assert calls == []
    monkeypatch.setattr(evaluation, "RUNTIME_FROM_MACS", RUNTIME)
    assert evaluate_arch(supernet, data, arch, "validation") == expected
    assert calls == [1]


def test_a_part_has_the_scores_of_its_images_and_is_contained_in_a_larger_one() -> None:
    supernet, data = load_supernet(ZOO / "digits"), load_data("digits")
    arch = supernet.space.max()
    stats = calibrate(supernet.net, supernet.task, data, arch)

    def scores(examples: int | None) -> torch.Tensor:
        return example_scores(supernet.net, supernet.task, data, arch, stats, "validation", examples=examples)

    small, large, every = scores(100), scores(200), scores(None)
    assert len(small) == 100 and torch.equal(large[:100], small)
    assert scores(360).sum() == every.sum() and len(every) == 360
    images, labels = first_part(data.validation, 100)
    counts = torch.bincount(labels, minlength=10)
    assert images.shape[0] == 100 and int(counts.max() - counts.min()) <= 2
    found = evaluate_arch(supernet, data, arch, "validation", stats, examples=100)
    assert found.n == 100 and found.value == float(small.mean())


def test_few_images_need_few_examples_for_statistics() -> None:
    assert [calibration_for(n) for n in (None, 100, 1_000, 10_000)] == [2048, 256, 500, 2048]
