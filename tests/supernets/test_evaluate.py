"""A subnet evaluated through ONNX Runtime has the scores that torch gives."""

from __future__ import annotations

import os
import threading
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
    evaluate_archs,
    example_scores,
)
from supernets.export.graph import UntranslatedError, direct_model
from supernets.export.pools import with_pools
from supernets.export.runtime import memory_session
from supernets.extract import extract
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


def test_the_next_subnet_is_recalibrated_while_one_is_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    supernet, data = load_supernet(ZOO / "digits"), load_data("digits")
    archs = supernet.space.decode(supernet.space.sample(np.random.default_rng(0), 3))
    monkeypatch.setattr(evaluation, "RUNTIME_FROM_MACS", RUNTIME)
    threads = torch.get_num_threads()
    expected = [evaluate_arch(supernet, data, arch, "validation") for arch in archs]
    assert list(evaluate_archs(supernet, data, archs, "validation")) == expected
    both, by_runtime, calibrating, scoring = threading.Barrier(2, timeout=60), evaluation._by_runtime, [], []

    def slow_calibrate(*arguments: object) -> object:
        calibrating.append(1)
        if len(calibrating) > 1:
            both.wait()
        return calibrate(*arguments)  # type: ignore[arg-type]

    def slow_runtime(*arguments: object) -> object:
        run = by_runtime(*arguments)  # type: ignore[arg-type]

        def wait(inputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
            scoring.append(len(inputs[0]))
            if scoring in ([256], [256, 104, 256]):  # the first batches of the first and of the second
                both.wait()
            return run(inputs)

        return wait

    monkeypatch.setattr(evaluation, "calibrate", slow_calibrate)
    monkeypatch.setattr(evaluation, "_by_runtime", slow_runtime)
    torch.set_num_threads(2)
    try:
        found = list(evaluate_archs(supernet, data, archs, "validation"))
    finally:
        torch.set_num_threads(threads)
    assert [each.value for each in found] == [each.value for each in expected]
    assert len(calibrating) == 3


def test_pools_for_means_change_no_output() -> None:
    supernet, data = load_supernet(ZOO / "digits"), load_data("digits")
    arch = supernet.space.max()
    net = extract(supernet.net, arch, calibrate(supernet.net, supernet.task, data, arch))
    dimensions = supernet.family.dimensions(arch)
    interface = supernet.task.interface(dimensions)
    (images,) = supernet.task.prepare(data.validation.images[:50], data.preprocessing(), dimensions)
    plain, pooled = direct_model(net, interface, 18), with_pools(direct_model(net, interface, 18))
    kinds = [[node.op_type for node in model.graph.node] for model in (plain, pooled)]
    means = kinds[0].count("ReduceMean")
    assert means > 0 and kinds[1].count("GlobalAveragePool") == means and "ReduceMean" not in kinds[1]
    one, two = (
        memory_session(model.SerializeToString(), 1).run(None, {"image": images.numpy()})[0]
        for model in (plain, pooled)
    )
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_extracting_draws_nothing_at_random() -> None:
    supernet = load_supernet(ZOO / "digits")
    before = torch.get_rng_state()
    extract(supernet.net, supernet.space.min(), None)
    assert torch.equal(torch.get_rng_state(), before)
