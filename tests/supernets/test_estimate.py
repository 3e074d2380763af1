"""What a training will cost, told before it starts, is what it costs."""

from __future__ import annotations

import pytest

from supernets.data import data_facts, load_data
from supernets.recipes.recipe import Recipe
from supernets.training.estimate import Rehearsal, estimate
from supernets.training.loop import train_step
from tests.small import small_family, start


@pytest.mark.parametrize(
    "name",
    ["sandwich", "random", "attentive", "delayed_shrinking", "progressive_shrinking", "compound", "shift"],
)
def test_a_rehearsal_bills_what_the_training_bills(name: str) -> None:
    values = {**Recipe.read(name).as_json(), "steps": 10, "batch_size": 8, "schedule": {}}
    if name == "shift":
        values["sampler"] = {**values["sampler"], "every": 3}
    recipe = Recipe.parse(values)
    training = start(recipe, small_family(), load_data("digits"), seed=0)
    for _ in range(10):
        train_step(training)
    rehearsal = Rehearsal(recipe, small_family(), 0).run()
    assert (rehearsal.passes, rehearsal.forwards) == (training.passes, training.forwards)


def test_an_estimate_knows_space_cost_memory_and_time() -> None:
    family, data = small_family(), load_data("digits")
    recipe = Recipe.parse({**Recipe.read("sandwich").as_json(), "steps": 10, "batch_size": 8, "schedule": {}})
    told = estimate(recipe, family, data, seconds_per_pass=0.5)
    assert told.subnets == family.space().size()
    assert (told.passes, told.billed, told.seconds) == (40, 40.0, 20.0)
    space = family.space()
    ends = family.costs(space.encode([space.min(), space.max()]))["macs"]
    assert 3 * 8 * (ends[1] + 3 * ends[0]) <= told.macs_per_step <= 3 * 8 * (ends[0] + 3 * ends[1])
    twice = estimate(Recipe.parse({**recipe.as_json(), "batch_size": 16}), family, data)
    assert twice.macs_per_step == pytest.approx(2 * told.macs_per_step)
    assert twice.memory_mb > told.memory_mb
    assert (
        estimate(Recipe.parse({**recipe.as_json(), "ema_decay": 0.9}), family, data).memory_mb
        > told.memory_mb
    )


@pytest.mark.parametrize(
    "name", ["sandwich", "attentive", "delayed_shrinking", "progressive_shrinking", "shift", "gradient_split"]
)
def test_a_long_training_is_estimated_from_fewer_steps(name: str) -> None:
    values = {**Recipe.read(name).as_json(), "steps": 400, "batch_size": 8, "schedule": {}}
    recipe, family, data = Recipe.parse(values), small_family(), data_facts("digits")
    whole, scaled = (estimate(recipe, family, data, at_most=most) for most in (None, 100))
    assert scaled.steps == whole.steps == 400
    assert scaled.networks == whole.networks
    assert scaled.billed == pytest.approx(whole.billed, rel=0.02)
    assert scaled.macs_per_step == pytest.approx(whole.macs_per_step, rel=0.25)


def test_memory_is_not_told_where_the_images_are_not_known() -> None:
    recipe = Recipe.parse({**Recipe.read("sandwich").as_json(), "steps": 4, "batch_size": 8, "schedule": {}})
    told = estimate(recipe, small_family(), data_facts("hub:imagenet"))
    assert told.memory_mb is None and told.billed == 16.0
