"""The recipe ``largest_first``: the largest subnet alone, then what ``elastic_finetune`` draws, at a lower rate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from supernets.data import DataSet, load_data
from supernets.families.bert import Bert
from supernets.recipes.recipe import Recipe
from supernets.tasks.text_classification import TextClassification
from supernets.training.loop import train_step
from supernets.training.steps.schedule import learning_rate
from tests.small import TEXT_FAMILY, small_texts, start, train

TASK = TextClassification()
STEPS, FIRST = 33, 13
"""Of a short training, and of its first phase."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    return load_data(small_texts(tmp_path_factory.mktemp("texts")))


def family() -> Bert:
    return Bert.from_config({**TEXT_FAMILY, "num_classes": 3})


def shortened() -> Recipe:
    """The recipe with fewer steps and a warm-up of two of them in each phase."""
    values = Recipe.read("largest_first").as_json()
    stages = [{**stage, "warmup_steps": 2} for stage in values["schedule"]["stages"]]
    schedule = {**values["schedule"], "stages": stages}
    return Recipe.parse({**values, "steps": STEPS, "batch_size": 8, "schedule": schedule})


def test_the_largest_alone_then_what_elastic_finetune_draws(data: DataSet) -> None:
    training, seed = start(shortened(), family(), data, seed=2, task=TASK), 2
    sampler, space = Recipe.read("elastic_finetune").make_sampler(), family().space()
    roles, expected, sizes = [], [], []
    for step in range(STEPS):
        roles += train_step(training)
        (item,) = sampler.plan(space, step, np.random.default_rng([seed, step]))
        expected.append("max" if step < FIRST else item.role)
        sizes.append(training.shard.region.size())
    assert roles == expected and set(roles[FIRST:]) == {"max", "min", "random1"}
    assert sizes == [1] * FIRST + [space.size()] * (STEPS - FIRST)
    assert training.passes == STEPS and training.forwards == 0


def test_both_phases_have_the_schedule_of_a_training_of_their_own() -> None:
    recipe = Recipe.read("largest_first")
    rates = [learning_rate(recipe, step) for step in range(recipe.steps)]
    elastic = Recipe.read("elastic_finetune")
    first, then = (Recipe.parse({**elastic.as_json(), "steps": steps}) for steps in (468, 720))
    assert rates[:468] == [learning_rate(first, step) for step in range(468)]
    assert rates[468:] == pytest.approx([0.6 * learning_rate(then, step) for step in range(720)], rel=1e-12)


def test_the_first_phase_is_the_largest_subnet_trained_alone(data: DataSet) -> None:
    training = start(shortened(), family(), data, seed=1, task=TASK)
    largest = {axis: [choice] for axis, choice in family().space().max().as_dict().items()}
    values = {**shortened().as_json(), "steps": FIRST, "schedule": {"warmup_steps": 2}, "controllers": []}
    single = Recipe.parse({**values, "space": {"restrict": largest}})
    alone = start(single, family(), data, seed=1, task=TASK)
    for _ in range(FIRST):
        assert train_step(training) == train_step(alone)
    found = training.net.state_dict()
    assert all(torch.equal(found[name], value) for name, value in alone.net.state_dict().items())


def test_a_training_resumes_bit_for_bit_on_both_sides_of_the_opening(data: DataSet, tmp_path: Path) -> None:
    whole = train(shortened(), family(), data, tmp_path / "whole", task=TASK)
    for until in (FIRST - 1, FIRST, FIRST + 2):
        train(shortened(), family(), data, tmp_path / "parts", task=TASK, until_step=until)
    parts = train(shortened(), family(), data, tmp_path / "parts", task=TASK)
    found = parts.net.state_dict()
    assert all(torch.equal(found[name], value) for name, value in whole.net.state_dict().items())
    assert parts.passes == whole.passes == STEPS
