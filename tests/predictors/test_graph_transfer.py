"""Quality across spaces: graphs of layers, one scale of labels, a base that adapters do not change."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from predictors.predictor import load
from predictors.quality.gaussian_process import GaussianProcess
from predictors.quality.graph_net import Adapter, Base, Joined, answers, seeded, train
from predictors.quality.graph_transfer import GraphModel, GraphTransfer, LabelScale, Source
from predictors.quality.graphs import Graphs, Usual, joined
from predictors.scope import Scope
from supernets.families.mobilenet_v3 import MobileNetV3
from supernets.spaces.layers import LayerSpec
from tests.predictors.toy import FAMILY, archs, noisy, scope_for, true_value


def graphs(n=12, seed=0):
    return Graphs.of_archs(FAMILY, archs(n, seed)).within(Usual.of_space(FAMILY))


def layer(kind, channels, positions=16):
    return LayerSpec(kind, kind, channels, channels, positions, positions, kernel=3, bias=True)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_scaled_labels_come_back_and_larger_is_better(sign):
    rng = np.random.default_rng(0)
    y, gmacs = rng.uniform(0.5, 30.0, 20), rng.uniform(0.001, 500.0, 20)
    scale = LabelScale.of(y, gmacs, sign)
    scaled = scale(y, gmacs)
    np.testing.assert_allclose(scale.inverse(scaled, gmacs), y, rtol=1e-12)
    assert scaled.mean() == pytest.approx(0, abs=1e-12) and scaled.std() == pytest.approx(1)
    better = scale(y - sign * 0.1, gmacs)
    assert (better > scaled).all()
    same = LabelScale.of(np.full(5, 0.5), np.zeros(5), sign)
    assert np.isfinite(same(np.full(5, 0.5), np.zeros(5))).all()


def test_a_sum_is_joined_to_where_its_residual_begins():
    rows = [layer("conv", 8), layer("conv", 32), layer("depthwise", 32), layer("conv", 8), layer("add", 8)]
    assert joined(rows) == [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4)]
    assert joined(rows[:1]) == [] and joined([layer("conv", 4), layer("add", 8)]) == [(0, 1)]


def test_nodes_hold_kernel_and_bias_of_layers_with_weights_only():
    found = Graphs.of([[layer("conv", 8), layer("add", 8), layer("strange", 8)]])
    assert found.kernel.tolist() == [3, 0, 0] and found.bias.tolist() == [2, 0, 0]
    assert found.kind.tolist()[2] == 0
    assert found.gmacs[0] == pytest.approx(layer("conv", 8).macs / 1e9)


def test_sizes_are_relative_to_those_of_the_space():
    raw = Graphs.of_archs(FAMILY, archs(40))
    found = raw.within(Usual.of(raw))
    assert np.abs(found.size.mean(axis=0)).max() < 1e-4 and np.abs(found.whole.mean(axis=0)).max() < 1e-4
    assert (found.gmacs == raw.gmacs).all()
    alike = Graphs.of([[layer("conv", 8)]] * 3)
    assert np.isfinite(alike.within(Usual.of(alike)).size).all()


def test_taken_graphs_are_those_and_answers_do_not_depend_on_the_company():
    all_of_them, net = graphs(), seeded(Base, 0)
    rows = np.array([5, 2, 2, 9])
    taken = all_of_them.take(rows)
    together = answers([net], all_of_them)[rows]
    np.testing.assert_allclose(answers([net], taken), together, atol=1e-6)
    alone = [answers([net], all_of_them.take(np.array([row])))[0] for row in rows]
    np.testing.assert_allclose(alone, together, atol=1e-6)
    np.testing.assert_allclose(answers([net], all_of_them, block=5)[rows], together, atol=1e-6)
    assert (taken.gmacs == all_of_them.gmacs[rows]).all()


def test_the_order_of_nodes_has_no_effect():
    one, net = graphs(1), seeded(Base, 0)
    order = np.random.default_rng(0).permutation(len(one.kind))
    moved = np.argsort(order)
    other = replace(
        one,
        kind=one.kind[order],
        kernel=one.kernel[order],
        bias=one.bias[order],
        size=one.size[order],
        edge=moved[one.edge],
    )
    with torch.inference_mode():
        np.testing.assert_allclose(net(Joined(one)), net(Joined(other)), atol=1e-6)


def test_an_adapter_leaves_the_base_as_it_was():
    base = seeded(Base, 0)
    before = [each.clone() for each in base.parameters()]
    adapter = seeded(lambda: Adapter(base), 1)
    start = torch.nn.utils.parameters_to_vector(adapter.parameters()).detach().clone()
    train(adapter, graphs(), np.linspace(-1, 1, 12), epochs=3, seed=0)
    assert all(torch.equal(left, right) for left, right in zip(before, base.parameters(), strict=True))
    assert all(each.grad is None for each in base.parameters())
    assert not torch.equal(start, torch.nn.utils.parameters_to_vector(adapter.parameters()))


def test_training_repeats_and_leaves_the_generator_of_torch_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    sources = [Source(graphs(), true_value("accuracy", archs(12)), -1.0) for _ in range(2)]
    found = [GraphModel.trained(sources, seed=4)(graphs(6, seed=1)) for _ in range(2)]
    assert (found[0] == found[1]).all() and torch.rand(1) == expected


def test_fine_tuning_works_on_a_copy():
    model = GraphModel.trained([Source(graphs(), true_value("accuracy", archs(12)), -1.0)], seed=0)
    before = model(graphs())
    tuned = model.fine_tuned(graphs(), np.linspace(1, -1, 12), seed=0)
    assert (model(graphs()) == before).all() and (tuned(graphs()) != before).any()


def known_elsewhere():
    """An evaluated space of other networks."""
    family = MobileNetV3.from_config({})
    space = family.space()
    rows = space.sample(np.random.default_rng(0), 60)
    scope = Scope(supernet="other", space_sha256=space.sha256, metric="accuracy", data="validation")
    model = GaussianProcess(family, scope)
    size = np.log(family.costs(rows)["macs"])
    model.fit(rows, 0.5 + 0.2 * (size - size.min()) / np.ptp(size))
    return model


def test_another_space_is_a_prior_with_a_weight_and_is_stored():
    model = GraphTransfer(FAMILY, scope_for("accuracy"), known=[known_elsewhere()])
    rows = archs(20)
    model.fit(rows, noisy("accuracy", rows))
    assert len(model.weights) == 1 and 0.0 <= model.weights[0] <= 1.0
    again = load(model.dump(), FAMILY)
    unseen = archs(60, seed=5)[20:]
    assert (again.predict(unseen)[0] == model.predict(unseen)[0]).all()
    assert again.weights == model.weights
    shared = model.fresh()
    shared.fit(rows, noisy("accuracy", rows))
    assert (shared.predict(unseen)[0] == model.predict(unseen)[0]).all()


def test_a_prior_of_shuffled_values_loses_its_weight():
    known = known_elsewhere()
    population, y = known.data
    known.fit(population, np.random.default_rng(0).permutation(y))
    model = GraphTransfer(FAMILY, scope_for("accuracy"), known=[known])
    rows = archs(40)
    model.fit(rows, true_value("accuracy", rows))
    assert model.weights[0] < 0.2
