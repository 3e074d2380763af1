"""InstaTune's exact invariants (methods: gamma, both teachers, the loss)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from supernets.data import DataSet, load_data
from supernets.errors import RecipeError
from supernets.families.bert import Bert
from supernets.recipes.losses.instatune import InstatuneLoss
from supernets.recipes.parts import TEACHER, Item, Setting
from supernets.recipes.samplers.instatune import InstatuneSampler
from supernets.tasks.text_classification import TextClassification
from supernets.training.loop import train_step
from tests.small import TEXT_FAMILY, short, small_texts, start

TASK = TextClassification()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    return load_data(small_texts(tmp_path_factory.mktemp("texts")))


def family() -> Bert:
    return Bert.from_config({**TEXT_FAMILY, "num_classes": 3})


def test_gamma_0_runs_no_teacher_forward(data: DataSet) -> None:
    training = start(short("instatune", dropout=0.0), family(), data, task=TASK)
    for _ in range(3):
        train_step(training)
    assert training.teacher is None and training.forwards == 0
    assert training.passes == 3 * 3


def test_gamma_1_then_0_stops_the_teachers_forward(data: DataSet) -> None:
    sampler = {"kind": "instatune", "gamma": [[0.0, 1], [0.5, 0]]}
    stages = [{"start": 0.0, "teacher": True}]
    recipe = short(
        "instatune", dropout=0.0, sampler=sampler, controllers=[{"kind": "stages", "stages": stages}]
    )
    training = start(recipe, family(), data, task=TASK)
    forwards = []
    for _ in range(recipe.steps):
        train_step(training)
        forwards.append(training.forwards)
    assert forwards == [1, 2, 3, 3, 3, 3]


def test_whose_outputs_a_step_learns_from() -> None:
    sampler = InstatuneSampler(random=2, smallest=True, gamma=[[0.0, 1], [0.25, 0]])
    sampler.begin(Setting(family(), 8, 0))
    space = family().space()
    plans = [sampler.plan(space, step, np.random.default_rng(0)) for step in (0, 1, 2, 7)]
    assert [[item.targets_from for item in plan] for plan in plans] == [
        [TEACHER] * 4,
        [TEACHER] * 4,
        [None, "max", "max", "max"],
        [None, "max", "max", "max"],
    ]
    assert plans[0][0].arch == space.max() and plans[0][-1].arch == space.min()
    assert sampler.needs == {TEACHER} and not InstatuneSampler().needs


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_the_loss_is_the_formula_and_its_gradient_that_of_the_divergence(alpha: float) -> None:
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(6, 4, generator=generator, requires_grad=True)
    teacher = torch.randn(6, 4, generator=generator)
    targets = torch.tensor([0, 1, 2, 3, 0, 1])
    item = Item(family().space().max(), "max", targets_from=TEACHER)
    loss = InstatuneLoss(alpha, temperature=2.0)(TASK, item, outputs, targets, {TEACHER: teacher})
    divergence = F.kl_div(F.log_softmax(outputs / 2, 1), F.softmax(teacher / 2, 1), reduction="batchmean")
    expected = alpha * F.cross_entropy(outputs, targets) + (1 - alpha) * 4 * divergence
    got, wanted = (torch.autograd.grad(each, outputs, retain_graph=True)[0] for each in (loss, expected))
    assert torch.allclose(got, wanted, atol=1e-6)
    alone = InstatuneLoss(alpha)(TASK, Item(item.arch, "max"), outputs, targets, {})
    assert torch.equal(alone, alpha * F.cross_entropy(outputs, targets))


@pytest.mark.parametrize("gamma", [2, 0.5, [[0.5, 1]], [[0.0, 1], [1.0, 0]], [[0.0, 0.5]], []])
def test_bad_gammas_are_refused(gamma: object) -> None:
    with pytest.raises(RecipeError, match="gamma must be 0, 1"):
        InstatuneSampler(gamma=gamma)  # type: ignore[arg-type]


def test_a_teacher_that_nobody_gives_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="gives 'teacher'"):
        short("instatune", sampler={"kind": "instatune", "gamma": 1})
    assert (
        short("instatune", sampler={"kind": "instatune", "gamma": 1}, teacher="external").teacher
        == "external"
    )


def test_random_subnets_have_inner_depths_and_layers_that_are_alike_as_often_as_asked() -> None:
    settings = {"depths": [1, 2, 3], "heads": [1, 2], "ffns": [4, 6, 8], "head_size": 4, "widths": [8]}
    space = Bert.from_config({**TEXT_FAMILY, **settings, "num_classes": 3}).space()
    sampler = InstatuneSampler(between=0.6, alike=0.5)
    drawn = [sampler.plan(space, k, np.random.default_rng([0, k]))[1].arch for k in range(600)]
    assert all(space.contains(arch) for arch in drawn)
    depths = np.array([arch["depth"] for arch in drawn])
    assert abs((depths == 2).mean() - (0.6 + 0.4 / 3)) < 0.06 and {1, 2, 3} == set(depths.tolist())
    two = [arch for arch in drawn if arch["depth"] == 2]
    alike = [
        arch["layer1.heads"] == arch["layer2.heads"] and arch["layer1.ffn"] == arch["layer2.ffn"]
        for arch in two
    ]
    assert abs(np.mean(alike) - (0.5 + 0.5 / 6)) < 0.08
    for name in ("between", "alike"):
        with pytest.raises(RecipeError, match=f"{name} must be a share from 0 to 1, got 2"):
            InstatuneSampler(**{name: 2})


def test_without_shares_the_draws_are_those_of_the_space() -> None:
    space = family().space()
    (_, item) = InstatuneSampler().plan(space, 0, np.random.default_rng(3))
    assert item.arch == space.decode(space.sample(np.random.default_rng(3), 1))[0]
