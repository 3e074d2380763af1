"""Weights that a recipe keeps frozen."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from supernets.data import DataSet, load_data
from supernets.errors import PlanError, RecipeError
from supernets.families.bert import Bert
from supernets.recipes.recipe import Recipe
from supernets.tasks.text_classification import TextClassification
from supernets.training.loop import RunOptions, train, train_step
from supernets.training.plan import TrainingPlan, check_recipe
from tests.small import TEXT_FAMILY, short, small_texts, start

TASK = TextClassification()
FAMILY = Bert.from_config({**TEXT_FAMILY, "num_classes": 3})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    return load_data(small_texts(tmp_path_factory.mktemp("texts")))


@pytest.mark.parametrize("name", ["instatune", "delayed_shrinking"])
def test_frozen_weights_stay_and_all_others_are_trained(data: DataSet, name: str) -> None:
    training = start(short(name, frozen=["words.", "positions."]), FAMILY, data, task=TASK)
    before = {key: value.clone() for key, value in training.net.state_dict().items()}
    for _ in range(training.recipe.steps):
        train_step(training)
    changed = {key for key, value in training.net.state_dict().items() if not torch.equal(value, before[key])}
    frozen = {key for key in before if key.startswith(("words.", "positions."))}
    assert not changed & frozen and {"classifier.weight", "layers.0.attention.query.weight"} <= changed
    stored = {id(p) for group in training.optimizer.param_groups for p in group["params"]}
    assert id(training.net.words.weight) not in stored


def test_a_resumed_training_has_the_same_weights(data: DataSet, tmp_path: Path) -> None:
    recipe = short("instatune", frozen=["words."])
    plan = TrainingPlan(recipe, FAMILY, data, TASK, 0)
    whole = train(plan, tmp_path / "whole", RunOptions(evaluate_every=10**9))
    train(plan, tmp_path / "parts", RunOptions(until_step=2, evaluate_every=10**9))
    parts = train(plan, tmp_path / "parts", RunOptions(evaluate_every=10**9))
    for name, value in whole.net.state_dict().items():
        assert torch.equal(value, parts.net.state_dict()[name]), name


def test_beginnings_that_no_weight_has_and_networks_without_trained_weights_are_refused(
    data: DataSet,
) -> None:
    with pytest.raises(RecipeError, match=r"beginnings of their names \(layers, words, .*got 'token_table'"):
        start(short("instatune", frozen=["token_table"]), FAMILY, data, task=TASK)
    with pytest.raises(PlanError, match="got 'token_table'"):
        check_recipe(short("instatune", frozen=["token_table"]), TASK, FAMILY, 0, data)
    with pytest.raises(RecipeError, match="must leave weights to train"):
        start(short("instatune", frozen=[""]), FAMILY, data, task=TASK)


def test_recipes_without_frozen_weights_keep_their_hash() -> None:
    recipe = Recipe.read("random")
    assert "frozen" not in recipe.hashed() and "frozen" in short("random", frozen=["a"]).hashed()
