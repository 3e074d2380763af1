"""What every recipe, sampler and loss promises; registering one is being tested."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from supernets import CONTROLLERS, HOOKS, LOSSES, PRUNERS, SAMPLERS
from supernets.data import DataSet, load_data
from supernets.errors import RecipeError
from supernets.recipes.parts import AVERAGE, Item, ItemGradients, Moment, Sampler, Setting
from supernets.recipes.recipe import Recipe, built_in, with_steps
from supernets.training.loop import METRICS_FILE, train_step
from supernets.training.steps.schedule import learning_rate
from tests.small import TASK, family_of, short, small_family, start, task_of, train


@pytest.fixture(scope="module")
def data() -> DataSet:
    return load_data("digits")


@pytest.mark.parametrize("name", built_in())
def test_same_seed_same_losses_and_weights(name: str, data: DataSet) -> None:
    runs = []
    for _ in range(2):
        training = start(short(name, dropout=0.2), family_of(name), data, seed=3, task=task_of(name))
        losses = [train_step(training) for _ in range(3)]
        runs.append((losses, {k: v.clone() for k, v in training.net.state_dict().items()}))
    assert runs[0][0] == runs[1][0]
    assert all(torch.equal(v, runs[1][1][k]) for k, v in runs[0][1].items())
    other = start(short(name), family_of(name), data, seed=4, task=task_of(name))
    assert train_step(other) != runs[0][0][0]


@pytest.mark.parametrize("name", built_in())
def test_resumed_equals_uninterrupted(name: str, data: DataSet, tmp_path: Path) -> None:
    recipe, family = short(name, dropout=0.2), family_of(name)
    options = {"evaluate_every": 3, "task": task_of(name)}
    whole = train(recipe, family, data, tmp_path / "whole", **options)
    train(recipe, family, data, tmp_path / "parts", until_step=2, **options)
    train(recipe, family, data, tmp_path / "parts", until_step=5, **options)
    parts = train(recipe, family, data, tmp_path / "parts", **options)
    state = whole.net.state_dict()
    assert all(torch.equal(state[name], value) for name, value in parts.net.state_dict().items())
    found = parts.result.state_dict()
    assert all(torch.equal(value, found[name]) for name, value in whole.result.state_dict().items())
    assert parts.passes == whole.passes
    assert [(s.first_step, s.last_step) for s in parts.sittings] == [(0, 2), (2, 5), (5, 6)]
    last = [
        json.loads((tmp_path / run / METRICS_FILE).read_text().splitlines()[-1]) for run in ("whole", "parts")
    ]
    assert last[0]["step"] == last[1]["step"] == 6
    assert last[0]["quality"] == last[1]["quality"]


def begun(name: str, **options: object) -> Sampler:
    sampler: Sampler = SAMPLERS.load(name)(**options)
    sampler.begin(Setting(small_family(), 100, 0))
    return sampler


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_stay_in_the_open_region_and_continue_from_their_state(name: str) -> None:
    region = small_family().space().restrict({"depth": [2], "kernel": [3], "resolution": [8]})
    sampler, other = begun(name), begun(name)
    state = sampler.state()
    if state:
        other.restore(state)
    for step in range(3):
        plans = [part.plan(region, step, np.random.default_rng([2, step])) for part in (sampler, other)]
        assert plans[0] == plans[1]
        for item in plans[0]:
            assert all(region.contains(arch) for arch in (item.arch, *item.candidates))


@pytest.mark.parametrize("name", HOOKS)
def test_hooks_are_pure_and_leave_an_only_item_alone(name: str) -> None:
    hook = HOOKS.load(name)()
    item = Item(small_family().space().max(), "max")
    moment = Moment(50, 100, lambda step: 1.0)
    assert hook.weight(item, moment) == hook.weight(item, moment) == 1.0
    if hook.per_item:
        gradient, mask = {"w": torch.tensor([1.0, -2.0])}, {"w": torch.ones(2)}
        assert torch.equal(hook.combine([ItemGradients(item, 1.0, gradient, mask)])["w"], gradient["w"])


def test_every_controller_and_hook_is_in_a_recipe_or_its_own_test() -> None:
    assert set(CONTROLLERS) == {"stages", "gradient_split", "self_expanding"}
    used = {part.kind for name in built_in() for part in Recipe.read(name).controllers}
    assert used == set(CONTROLLERS)


def test_every_pruner_is_in_a_recipe() -> None:
    used = [pruner.kind for name in built_in() if (pruner := Recipe.read(name).pruner) is not None]
    assert sorted(used) == sorted(PRUNERS)


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_plan_members_after_their_teachers_and_repeat(name: str) -> None:
    space = small_family().space()
    samplers = [begun(name) for _ in range(2)]
    for step in range(5):
        plans = [sampler.plan(space, step, np.random.default_rng([1, step])) for sampler in samplers]
        assert plans[0] == plans[1]
        seen: set[str] = set()
        for item in plans[0]:
            assert space.contains(item.arch)
            assert item.targets_from in {None, AVERAGE, *seen}
            assert 0 <= item.view < samplers[0].views
            assert item.role not in seen
            seen.add(item.role)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_leave_the_teacher_alone(name: str) -> None:
    loss = LOSSES.load(name)()
    loss.begin(Setting(small_family(), 100, 0))
    space = small_family().space()
    teacher = torch.randn(4, 10, requires_grad=True)
    student = torch.randn(4, 10, requires_grad=True)
    loss(
        TASK, Item(space.min(), "min", targets_from="max"), student, torch.arange(4), {"max": teacher}
    ).backward()
    assert teacher.grad is None
    assert student.grad is not None


def test_sandwich_trains_the_ends_every_step() -> None:
    space = small_family().space()
    plan = SAMPLERS.load("sandwich")(random=3).plan(space, 0, np.random.default_rng(0))
    assert [item.role for item in plan] == ["max", "random1", "random2", "random3", "min"]
    assert plan[0].arch == space.max()
    assert plan[-1].arch == space.min()
    assert [item.regularise for item in plan] == [True, False, False, False, False]


def test_distilling_from_oneself_costs_the_teachers_entropy() -> None:
    loss = LOSSES.load("inplace_distillation")()
    logits = torch.randn(8, 10, generator=torch.Generator().manual_seed(0))
    item = Item(small_family().space().min(), "min", targets_from="max")
    entropy = -(F.softmax(logits, 1) * F.log_softmax(logits, 1)).sum(1).mean()
    assert loss(TASK, item, logits, torch.zeros(8, dtype=torch.long), {"max": logits}) == pytest.approx(
        float(entropy), rel=1e-6
    )


def test_gradients_are_summed_over_items(data: DataSet) -> None:
    """A step of sandwich moves the weights as the sum of its items' separate gradients would."""
    training = start(short("sandwich"), small_family(), data, seed=0)
    train_step(training)
    step = training.step
    losses = train_step(training)
    total = {n: p.grad.clone() for n, p in training.net.named_parameters() if p.grad is not None}
    assert set(losses) == {"max", "random1", "random2", "min"}
    again = start(short("sandwich"), small_family(), data, seed=0)
    train_step(again)
    expected = separate_gradients(again, step)
    norm = torch.stack([g.norm() for g in expected.values()]).norm()
    scale = min(1.0, 5.0 / (float(norm) + 1e-6))
    for name, gradient in expected.items():
        assert torch.allclose(gradient * scale, total[name], atol=1e-6)


def separate_gradients(training: object, step: int) -> dict[str, torch.Tensor]:
    from supernets.data import augment, batch_indices, prepare, step_generator
    from supernets.elastic.active import use

    split = training.data.train
    chosen = batch_indices(len(split), training.recipe.batch_size, 0, step)
    pad = training.recipe.augment.pad
    images = augment(split.images[chosen], step_generator(0, step), pad, training.recipe.augment.flip)
    plan = training.recipe.make_sampler().plan(
        training.family.space(), step, np.random.default_rng([0, step])
    )
    loss_of, net, bank = training.recipe.make_loss(), training.net.train(), {}
    total = {name: torch.zeros_like(p) for name, p in net.named_parameters()}
    for item in plan:
        x = prepare(
            images, training.family.dimensions(item.arch)["height"], training.data.mean, training.data.std
        )
        net.zero_grad()
        with use(net, item.arch):
            logits = net(x.contiguous(memory_format=torch.channels_last))
        bank[item.role] = logits.detach()
        loss_of(TASK, item, logits, split.labels[chosen], bank).backward()
        for name, parameter in net.named_parameters():
            if parameter.grad is not None:
                total[name] += parameter.grad
    return total


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"sampler": {"kind": "sandwhich"}},
            "unknown sampler .* choices: .*attentive, .*sandwich.*; did you mean sandwich",
        ),
        ({"sampler": {"kind": "sandwich", "colour": 1}}, "does not take these options"),
        ({"sampler": {"kind": "sandwich", "random": -1}}, "0 to 64"),
        ({"loss": {"kind": "inplace_distillation", "temperature": 0}}, "above 0"),
        ({"steps": 0}, "steps"),
        ({"speed": 3}, "speed"),
        ({"schedule": {"warmup_steps": 6}}, "warmup_steps must be below"),
        ({"optimizer": {"lr": -1}}, "optimizer.lr: .*, got -1"),
        (
            {"batchsize": 8},
            "unknown 'batchsize' in recipe; choices: name, steps, batch_size.*; did you mean batch_size",
        ),
        ({"optimizer": {"lr": 1, "clip": 5}}, "unknown 'clip' in optimizer; choices: kind, lr, .*clip_norm"),
        (
            {"schedule": {"stages": [{"start": 0, "lr": 1, "warmup": 5}]}},
            "unknown 'warmup' in schedule.stages.0; choices: start, lr, warmup_steps",
        ),
        ({"sampler": {"kind": "shift", "slotz": 2}}, "sampler 'shift' .* got {'slotz': 2}, it takes slots: "),
        (
            {"sampler": {"kind": "shift", "slots": "x"}},
            "sampler 'shift' .* got {'slots': 'x'}, it takes slots: ",
        ),
        (
            {"sampler": {"kind": "uniform", "teacher": True}},
            "sampler 'uniform' needs a part that gives 'teacher'",
        ),
        ({"hooks": [{"kind": "opening_ramp"}]}, "hook 'opening_ramp' needs a part that gives 'opening'"),
        ({"hooks": [{"kind": "masked"}, {"kind": "masked", "aggregate": "mean"}]}, "at most one hook"),
        (
            {
                "controllers": [
                    {"kind": "gradient_split", "at": [0.2]},
                    {"kind": "stages", "stages": [{"start": 0}, {"start": 0.5}]},
                ]
            },
            "regions open before they split",
        ),
        ({"controllers": [{"kind": "stages", "stages": [{"start": 0.5}]}]}, "start at 0 and ascend"),
        ({"schedule": {"stages": [{"start": 0.5, "lr": 1}]}}, "stages must start at 0"),
    ],
)
def test_bad_recipes_name_the_part(changes: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        short("sandwich", **changes)


@pytest.mark.parametrize("name", built_in())
def test_fewer_steps_shorten_every_warm_up_in_proportion(name: str) -> None:
    """Of the whole schedule and of its stages: none takes a larger share of the steps than in the recipe itself."""
    own = Recipe.read(name)
    short = own.with_steps(max(2, own.steps // 40))
    pairs = [(own.schedule.warmup_steps, short.schedule.warmup_steps)]
    for before, after in zip(own.schedule.stages, short.schedule.stages, strict=True):
        assert (before.start, before.lr) == (after.start, after.lr)
        pairs.append((before.warmup_steps, after.warmup_steps))
    assert any(before for before, _ in pairs)
    assert all(after == before * short.steps // own.steps for before, after in pairs)
    peaks = [learning_rate(short, step) / own.optimizer.lr for step in range(short.steps)]
    assert max(peaks) == pytest.approx(max(s.lr for s in own.schedule.stages) if own.schedule.stages else 1.0)
    assert own.with_steps(own.steps) == own
    assert own.with_steps(3 * own.steps).schedule == own.schedule


def test_values_that_are_no_recipe_keep_their_form_with_other_steps() -> None:
    """What is wrong with them is said by the check of the recipe."""
    for values in (
        {"steps": "many", "schedule": {"warmup_steps": 5}},
        {"schedule": {"warmup_steps": 5}},
        {"steps": 100, "schedule": 7},
        {"steps": 100, "schedule": {"warmup_steps": "few", "stages": ["x", {"warmup_steps": None}]}},
        {"steps": 100, "schedule": {"stages": "none"}},
    ):
        assert with_steps(values, 10) == {**values, "steps": 10}


def test_unknown_recipe_lists_the_built_in_ones(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="sandwich"):
        Recipe.read("sandwhich")
    (tmp_path / "bad.toml").write_text("steps = = 3")
    with pytest.raises(RecipeError, match="not valid TOML"):
        Recipe.read(tmp_path / "bad.toml")
