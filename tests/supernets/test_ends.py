"""The sampler ``ends``: one subnet a step, and how often it is the largest or the smallest."""

from __future__ import annotations

import numpy as np
import pytest

from supernets.errors import RecipeError
from supernets.families.bert import Bert
from supernets.recipes.parts import TEACHER
from supernets.recipes.samplers.draws import draw
from supernets.recipes.samplers.ends import EndsSampler
from supernets.spaces.space import Space
from tests.small import TEXT_FAMILY


@pytest.fixture(scope="module")
def space() -> Space:
    settings = {"depths": [1, 2, 3], "heads": [1, 2], "ffns": [4, 6, 8], "head_size": 4, "widths": [8]}
    return Bert.from_config({**TEXT_FAMILY, **settings, "num_classes": 3}).space()


def test_ends_come_as_often_as_asked_and_each_step_trains_one_subnet(space: Space) -> None:
    sampler = EndsSampler(largest=0.3, smallest=0.2)
    plans = [sampler.plan(space, step, np.random.default_rng([0, step])) for step in range(1000)]
    assert {len(plan) for plan in plans} == {1}
    items = [plan[0] for plan in plans]
    roles = [item.role for item in items]
    assert abs(roles.count("max") / 1000 - 0.3) < 0.05 and abs(roles.count("min") / 1000 - 0.2) < 0.05
    assert {item.arch for item in items if item.role == "max"} == {space.max()}
    assert {item.arch for item in items if item.role == "min"} == {space.min()}
    drawn = {item.arch for item in items if item.role == "random1"}
    assert len(drawn) > 100 and all(space.contains(arch) for arch in drawn)
    assert all(item.regularise and item.targets_from is None for item in items)


def test_all_steps_can_be_of_one_end(space: Space) -> None:
    for share, arch in (({"largest": 1.0}, space.max()), ({"largest": 0, "smallest": 1}, space.min())):
        sampler = EndsSampler(**share)
        assert {sampler.plan(space, k, np.random.default_rng(k))[0].arch for k in range(20)} == {arch}


def test_random_subnets_are_drawn_as_instatune_draws_them(space: Space) -> None:
    sampler = EndsSampler(largest=0.0, between=0.6, alike=0.5)
    (item,) = sampler.plan(space, 0, np.random.default_rng(4))
    rng = np.random.default_rng(4)
    rng.random()  # whose turn it is
    assert item.arch == space.decode(draw(space, rng, 1, 0.6, 0.5))[0]


def test_a_teacher_is_needed_only_where_asked_for(space: Space) -> None:
    taught = EndsSampler(teacher=True)
    assert taught.needs == {TEACHER} and not EndsSampler().needs
    plans = [taught.plan(space, k, np.random.default_rng(k)) for k in range(20)]
    assert {item.targets_from for (item,) in plans} == {TEACHER}


@pytest.mark.parametrize("name", ["largest", "smallest", "between", "alike"])
def test_shares_lie_between_0_and_1(name: str) -> None:
    with pytest.raises(RecipeError, match=f"{name} must be a share from 0 to 1, got 1.5"):
        EndsSampler(**{name: 1.5})


def test_shares_of_the_ends_are_at_most_1_together() -> None:
    with pytest.raises(RecipeError, match=r"largest \+ smallest must be at most 1, got 0.7 \+ 0.4"):
        EndsSampler(largest=0.7, smallest=0.4)
