"""Units removed while a network trains: exactly the asked number, never fewer than before; the result is a network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from supernets.checkpoints import load_supernet
from supernets.data import DataSet, load_data
from supernets.elastic.criteria import UnitSums, dhspg_redundancy, hesso_scores
from supernets.errors import CheckpointError, PlanError, RecipeError
from supernets.extract import extract
from supernets.families.family import Family
from supernets.recipes.pruners.dhspg import penalties
from supernets.recipes.pruners.hesso_cric import HessoCric, probe
from supernets.recipes.pruners.pruner import Pruner, kept_units, lowest, zeroed
from supernets.recipes.recipe import Recipe
from supernets.records import OriginRecord
from supernets.spaces.cost import costs
from supernets.spaces.space import Population
from supernets.training.finish import finish
from supernets.training.loop import train_step
from supernets.training.plan import Origin, TrainingFiles, TrainingRequest, resolve
from supernets.training.predicted import PredictedCost
from supernets.training.steps.pruning import PruningView
from supernets.training.steps.training import Training
from tests.small import converted_family, start, train

PRUNERS = ["dhspg", "hesso", "hesso_cric"]
STEPS = 20


def recipe(kind: str, **pruner: Any) -> Recipe:
    values = Recipe.read(kind).as_json()
    options = {"kind": kind, "sparsity": 0.5, "start": 0.1, "end": 0.8, **pruner}
    if options["sparsity"] is None:
        del options["sparsity"]
    schedule = {"warmup_steps": 0}
    return Recipe.parse({**values, "steps": STEPS, "batch_size": 16, "schedule": schedule, "pruner": options})


@pytest.fixture(scope="module")
def data() -> DataSet:
    return load_data("digits")


@pytest.fixture(scope="module")
def family() -> Family:
    return converted_family()


def gone(training: Training) -> Tensor:
    assert isinstance(training.pruner, Pruner)
    units = training.shard.units
    return (
        torch.zeros(sum(units.sizes), dtype=torch.bool)
        if training.pruner.zero is None
        else training.pruner.zero
    )


@pytest.mark.parametrize("kind", PRUNERS)
def test_sparsity_grows_to_exactly_the_goal_and_the_rest_computes_the_same(
    kind: str, data: DataSet, family: Family
) -> None:
    training = start(recipe(kind), family, data, 0)
    before = gone(training)
    for _ in range(STEPS):
        train_step(training)
        now = gone(training)
        assert bool((now | ~before).all())
        before = now
        if bool(now.any()):
            weights = dict(training.net.named_parameters())
            for name, value in zeroed(training.shard.units, weights, now).items():
                assert torch.equal(value, weights[name])
    assert int(before.sum()) == sum(training.shard.units.sizes) // 2
    net = training.net.eval()
    smaller = net.without_zeros()
    expected = training.shard.units.cost("params", kept_units(training.shard.units, before))
    assert sum(each.numel() for each in extract(smaller, smaller.arch, None).parameters()) == expected
    images = torch.randn(3, 1, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(smaller(images), net(images), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", PRUNERS)
def test_the_result_is_a_network_again(kind: str, data: DataSet, family: Family, tmp_path: Path) -> None:
    made = recipe(kind, sparsity=None, keep={"macs": 0.4})
    training = train(made, family, data, tmp_path / "run", evaluate_every=100)
    finish(training, "small", tmp_path / "run", tmp_path / "out")
    supernet = load_supernet(tmp_path / "out")
    whole = costs(family.layers(family.space().max()))
    largest = costs(supernet.family.layers(supernet.space.max()))
    assert 0 < largest["macs"] <= 0.4 * whole["macs"]
    plain = extract(supernet.net, supernet.space.max(), None)
    assert sum(each.numel() for each in plain.parameters()) == largest["params"]
    (tmp_path / "run").rename(tmp_path / "out" / "training")  # as netwright train leaves it
    plan = TrainingFiles(recipe="random", source=tmp_path / "out", steps=2).plan()
    assert plan.family.config() == supernet.family.config() != family.config()
    train_step(start(plan.recipe, plan.family, data, 0, source=plan.source))


def test_hesso_shrinks_on_a_straight_line_to_zero(data: DataSet, family: Family) -> None:
    made = recipe("hesso", periods=1)
    still = made.model_copy(
        update={"optimizer": made.optimizer.model_copy(update={"lr": 1e-12, "weight_decay": 0.0})}
    )
    training = start(still, family, data, 0)
    units = training.shard.units

    def norms() -> Tensor:
        squares = {name: each.detach().square() for name, each in training.net.named_parameters()}
        return units.sums(squares).sqrt()

    first, last = 2, 16
    whole = norms()
    for step in range(last):
        train_step(training)
        if first <= step < last - 1:
            assert isinstance(training.pruner, Pruner)
            redundant = training.pruner.state()["redundant"]
            share = 1 - (step - first + 1) / (last - first)
            torch.testing.assert_close(norms()[redundant], share * whole[redundant], rtol=1e-4, atol=1e-6)
            torch.testing.assert_close(norms()[~redundant], whole[~redundant], rtol=1e-4, atol=1e-6)
    assert bool((norms()[gone(training)] == 0).all()) and int(gone(training).sum()) == 24


def test_cric_restores_the_weights_bit_for_bit(data: DataSet, family: Family) -> None:
    training = start(recipe("hesso_cric", sampling=4, cycles=1), family, data, 0)
    pruner = training.pruner
    assert isinstance(pruner, HessoCric)
    for step in range(6):
        kept = {name: each.detach().clone() for name, each in training.net.named_parameters()}
        train_step(training)
        if step == 2:
            start_of_cycle = kept
    assert pruner.ramp_from == 6 and pruner.samples == 4
    now = dict(training.net.named_parameters())
    assert all(torch.equal(now[name], value) for name, value in start_of_cycle.items())
    assert not all(torch.equal(kept[name], value) for name, value in start_of_cycle.items())


def test_a_small_but_essential_unit_survives_the_probe_and_not_magnitude(
    data: DataSet, family: Family
) -> None:
    training = start(recipe("hesso_cric"), family, data, 0)
    for _ in range(2):
        train_step(training)
    weights = dict(training.net.named_parameters())
    with (
        torch.no_grad()
    ):  # one channel of the last convolution carries the answer: tiny weights, read with a huge gain
        weights["original.last.weight"][5].mul_(1e-4)
        weights["original.last.bias"][5] = 1e-4
        weights["original.head.weight"][:, 5] = 3e4 * torch.linspace(-1, 1, 10)
        weights["original.head.bias"].copy_(-3 * torch.linspace(-1, 1, 10))
    stored, labels = data.train.batch(32, 0, 0, slice(None))
    view = PruningView(training, training.batch(stored, labels), 0.1)
    sizes = view.units.sums({name: each.square() for name, each in view.weights.items()}).sqrt()
    names = [family.groups.groups[index].name for index in family.offered]  # type: ignore[attr-defined]
    own = sum(view.units.sizes[: names.index("last")]) + 5
    half = len(sizes) // 2
    assert bool(lowest(view.units, sizes, half)[own])
    magnitude = sizes / sizes.norm() / 5
    assert not bool(lowest(view.units, magnitude + probe(view, magnitude), half)[own])
    after = dict(training.net.named_parameters())
    assert all(torch.equal(after[name], value) for name, value in weights.items())


def test_scores_and_penalties_are_those_of_the_papers() -> None:
    x, g = torch.tensor([[3.0, 4.0], [1.0, 0.0]]).double(), torch.tensor([[1.0, 0.0], [-2.0, 0.0]]).double()
    product = (x * g).sum(1)
    sums = UnitSums(product, x.square().sum(1), g.square().sum(1), torch.tensor([2.0, 2.0]).double())
    cosine = torch.tensor([0.6, -1.0]).double()
    inverse = 1 / torch.tensor([5.0, 1.0]).double() * 2**0.5
    expected = cosine / cosine.norm() / 2 + inverse / inverse.norm() / 2
    torch.testing.assert_close(dhspg_redundancy(sums), expected)
    plain, released = hesso_scores(sums), hesso_scores(sums, agreeing_goes=False)
    first, second = 1 - cosine, 1 + cosine
    torch.testing.assert_close(plain - released, (first / first.norm() - second / second.norm()) / 5)
    # the second grows: lo = 2, hi = 4 * 1 / 2 = 2
    torch.testing.assert_close(penalties(sums, 1.0, 1.5, 10.0), torch.tensor([1.0, 2.0]).double())
    torch.testing.assert_close(penalties(sums, 0.1, 0.5, 100.0), torch.tensor([0.1, 1.0]).double())


def test_kept_units_are_rounded_up_to_the_step() -> None:
    class Steps:
        sizes, steps = (8, 6), (4, 1)

    scores = torch.arange(14).double()
    assert kept_units(Steps, lowest(Steps, scores, 6)) == [4, 4]  # type: ignore[arg-type]
    assert kept_units(Steps, lowest(Steps, scores, 3)) == [8, 6]  # type: ignore[arg-type]
    assert kept_units(Steps, lowest(Steps, scores, 14)) == [4, 1]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sparsity": None}, "either sparsity"),
        ({"keep": {"macs": 0.5}}, "either sparsity"),
        ({"sparsity": 1.5}, "between 0 and 1, got 1.5"),
        ({"sparsity": None, "keep": {"macs": 2}}, "share between 0 and 1"),
        ({"start": 0.9}, "must ascend"),
    ],
)
def test_bad_goals_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe("hesso", **options)


def test_a_goal_of_the_command_line_replaces_that_of_the_recipe() -> None:
    made = Recipe.read("hesso").keeping("macs=0.4")
    assert made.pruner is not None and made.pruner.options == {"keep": {"macs": 0.4}}
    with pytest.raises(RecipeError, match="such as macs=0.4, got 'macs'"):
        made.keeping("macs")
    with pytest.raises(RecipeError, match="dhspg, hesso, hesso_cric.*'sandwich' has none"):
        Recipe.read("sandwich").keeping("macs=0.4")


def test_a_metric_without_closed_form_is_refused(data: DataSet, family: Family) -> None:
    with pytest.raises(RecipeError, match=r"closed form \(params, macs.*predicted.*got 'latency_ms'"):
        start(recipe("hesso", sparsity=None, keep={"latency_ms": 0.5}), family, data, 0)


# --- a share of what a predictor gives --------------------------------------------------------------


def predicted(family: Family, sha256: str = "0" * 64) -> PredictedCost:
    """A latency that grows with the MACs, beside a constant part: a tenth of that of the largest network."""

    def cost(archs: Population) -> NDArray[np.float64]:
        whole = family.costs(family.space().encode([family.space().max()]))["macs"][0]
        return np.asarray(family.costs(archs)["macs"] + whole / 9)

    return PredictedCost("latency_ms", cost, OriginRecord(name="latency.npz", sha256=sha256))


def test_widths_between_those_of_the_space_are_interpolated(data: DataSet, family: Family) -> None:
    units, space = start(recipe("hesso"), family, data, 0).shard.units, family.space()
    rng = np.random.default_rng(0)
    for _ in range(20):
        (arch,) = space.sample(rng, 1)
        kept = [int(16 * float(choice)) for choice in space.decode(arch[None])[0].as_dict().values()]
        archs, weights = units.between(kept)
        assert len(archs) == 1 and (archs[0] == arch).all() and weights.tolist() == [1.0]
        kept = rng.integers(4, 17, size=len(units.sizes)).tolist()
        archs, weights = units.between(kept)
        assert space.member(archs).all() and weights.min() >= 0
        widths = np.array(
            [[axis.choices[k] for axis, k in zip(space.axes, row, strict=True)] for row in archs]
        )
        np.testing.assert_allclose(16 * weights @ widths.astype(float), kept)  # a linear function is exact
    fewer, _ = units.between([1] * len(units.sizes))
    assert (fewer == 0).all()


@pytest.mark.parametrize("kind", PRUNERS)
def test_a_share_of_a_predicted_metric_is_kept(kind: str, data: DataSet, family: Family) -> None:
    made, latency = recipe(kind, sparsity=None, keep={"latency_ms": 0.5}), predicted(family)
    training = start(made, family, data, 0, predicted=latency)
    for _ in range(STEPS):
        train_step(training)
    units = training.shard.units

    def at(kept: list[int]) -> float:
        archs, weights = units.between(kept)
        return float(weights @ latency.cost(archs))

    kept = kept_units(units, gone(training))
    assert 0.3 < at(kept) / at(list(units.sizes)) <= 0.5
    assert training.record().predictor == latency.origin


@pytest.mark.parametrize(
    ("metric", "share"), [("latency_ms", 0.11), ("macs", 0.0001), ("params", 0.001), ("size_mb", 0.001)]
)
def test_a_share_below_the_smallest_is_refused_at_the_start(
    metric: str, share: float, data: DataSet, family: Family
) -> None:
    made = recipe("hesso", sparsity=None, keep={metric: share})
    with pytest.raises(RecipeError, match=rf"smallest width takes, 0\.\d+ of {metric}, got {share}"):
        start(made, family, data, 0, predicted=predicted(family))


def test_a_training_resumes_with_its_own_predictor_only(
    data: DataSet, family: Family, tmp_path: Path
) -> None:
    made = recipe("hesso", sparsity=None, keep={"latency_ms": 0.5})
    train(made, family, data, tmp_path, until_step=5, predicted=predicted(family))
    with pytest.raises(CheckpointError, match="another predictor"):
        train(made, family, data, tmp_path, predicted=predicted(family, "1" * 64))
    assert train(made, family, data, tmp_path, until_step=6, predicted=predicted(family)).step == 6


def test_a_predictor_that_no_pruner_goes_by_is_refused(data: DataSet, family: Family) -> None:
    origin = Origin("mine", family, "image_classification", "digits", ())
    asked = TrainingRequest(recipe("hesso"), origin=origin, predicted=predicted(family))
    with pytest.raises(PlanError, match="keeps a share of latency_ms"):
        resolve(asked, data)
    made = recipe("hesso", sparsity=None, keep={"latency_ms": 0.5})
    assert resolve(replace(asked, recipe=made), data).recipe["pruner"]["keep"] == {"latency_ms": 0.5}
