"""POA: targets, terms, list of sizes, averages, features of subnets."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from supernets.data import DataSet, distort, load_data
from supernets.elastic.active import use
from supernets.errors import DataError, RecipeError
from supernets.evaluate import evaluate_net
from supernets.extract import extract
from supernets.families.vit import Vit
from supernets.recipes.losses.poa import PoaLoss, koleo, sinkhorn
from supernets.recipes.parts import AVERAGE, Item, Setting, Update
from supernets.recipes.recipe import Recipe
from supernets.recipes.samplers.poa import PoaSampler, counts
from supernets.spaces.space import Axis, Space
from supernets.tasks.frozen_features import linear_probe, neighbours
from supernets.tasks.self_supervised_images import SelfSupervisedImages
from supernets.training.estimate import Rehearsal
from supernets.training.loop import train_step
from supernets.training.steps.schedule import average_decay
from supernets.training.steps.training import Training
from tests.small import short, small_vit, start, train

TASK = SelfSupervisedImages()
FAMILY = small_vit()
SPACE = FAMILY.space()


@pytest.fixture(scope="module")
def data() -> DataSet:
    return load_data("digits")


def begun(**changes: object) -> Training:
    loss = {"kind": "poa", "prototypes": [12, 20], "hidden": 16, "bottleneck": 8}
    return start(short("poa", **{"loss": loss, **changes}), FAMILY, load_data("digits"), 0, task=TASK)


def made(**options: object) -> PoaLoss:
    """A loss with small heads."""
    loss = PoaLoss(**{"prototypes": (12, 20), "hidden": 16, "bottleneck": 8, **options})
    loss.begin(Setting(FAMILY, 100, 0))
    return loss


def features(seed: int, n: int = 32) -> torch.Tensor:
    return torch.randn(n, 256, generator=torch.Generator().manual_seed(seed), requires_grad=True)


# --- targets ---------------------------------------------------------------------------------------


def test_sinkhorn_gives_distributions_that_use_prototypes_equally() -> None:
    logits = torch.randn(24, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64) / 0.3
    few, many = sinkhorn(logits, 3), sinkhorn(logits, 500)
    assert torch.allclose(few.sum(1), torch.ones(24, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(many.sum(0), torch.full((6,), 24 / 6, dtype=torch.float64), atol=1e-6)
    uneven = [(sinkhorn(logits, k).sum(0) - 4).abs().max() for k in (1, 3, 20)]
    assert uneven[0] > uneven[1] > uneven[2]
    # scaling rows and columns leaves the ratios of a two by two part alone
    kept = (many[0, 0] * many[1, 1]) / (many[0, 1] * many[1, 0])
    plain = logits.exp()
    assert kept == pytest.approx(float(plain[0, 0] * plain[1, 1] / (plain[0, 1] * plain[1, 0])))


def test_the_temperature_of_targets_rises_and_then_stays() -> None:
    loss = made(teacher_temperature=(0.04, 0.07), rising=0.5)
    seen = []
    for _ in range(100):
        seen.append(loss.teacher_temperature)
        loss.update(Update(1e-3, 0.9, 1.0, lambda _: None))
    assert seen[0] == 0.04 and seen[25] == pytest.approx(0.055) and set(seen[50:]) == {0.07}


def test_terms_are_the_cross_entropies_of_the_definition() -> None:
    loss, (a, b1, b2) = made(), (features(seed) for seed in range(3))
    bank = {AVERAGE: a.detach(), "intact": b1.detach()}
    intact = loss(TASK, Item(SPACE.max(), "intact", targets_from=AVERAGE), b1, torch.zeros(32), bank)
    elastic = loss(TASK, Item(SPACE.min(), "elastic", targets_from=AVERAGE), b2, torch.zeros(32), bank)
    expected = {"intact": 0.0, "elastic": 0.0}
    for student, teacher in zip(loss.heads, loss.average, strict=True):
        p_a = sinkhorn(teacher(a) / 0.04, 3).detach()
        log1, log2 = (F.log_softmax(student(x) / 0.1, 1).detach() for x in (b1, b2))
        expected["intact"] += -float((p_a * log1).sum(1).mean()) / 2
        expected["elastic"] += -float((p_a * log2).sum(1).mean() + (log1.exp() * log2).sum(1).mean()) / 2
    assert float(intact.detach()) == pytest.approx(expected["intact"], rel=1e-5)
    assert float(elastic.detach()) == pytest.approx(expected["elastic"], rel=1e-5)


def test_nothing_flows_into_the_teacher_or_in_the_same_view_term_into_the_intact_student() -> None:
    loss, a, b1, b2 = made(), features(0), features(1), features(2)
    item = Item(SPACE.min(), "elastic", targets_from=AVERAGE)
    loss(TASK, item, b2, torch.zeros(32), {AVERAGE: a, "intact": b1}).backward()
    assert a.grad is None and b1.grad is None and b2.grad is not None
    assert all(p.grad is None and not p.requires_grad for p in loss.average.parameters())
    # the heads get the gradient of the elastic student's outputs only: targets are held fixed
    got = [p.grad.clone() for p in loss.heads.parameters()]
    loss.heads.zero_grad()
    total = torch.zeros(())
    for student, teacher in zip(loss.heads, loss.average, strict=True):
        logits = student(b2.detach()) / 0.1
        goals = (sinkhorn(teacher(a) / 0.04, 3), F.softmax(student(b1) / 0.1, 1))
        total = total + sum(F.cross_entropy(logits, goal.detach()) for goal in goals) / 2
    total.backward()
    assert all(
        torch.allclose(g, p.grad, atol=1e-6) for g, p in zip(got, loss.heads.parameters(), strict=True)
    )


def test_without_the_same_view_term_the_intact_student_is_not_read() -> None:
    loss = made(same_view=False)
    item = Item(SPACE.min(), "elastic", targets_from=AVERAGE)
    found = [
        loss(TASK, item, features(2), torch.zeros(32), {AVERAGE: features(0), "intact": features(seed)})
        for seed in (1, 5)
    ]
    assert torch.equal(*found)


def test_koleo_spreads_features() -> None:
    near = torch.ones(8, 4) + 0.01 * torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    assert float(koleo(torch.eye(4))) == pytest.approx(-math.log(math.sqrt(2)), abs=1e-4)
    assert float(koleo(near)) > float(koleo(torch.eye(4)))


# --- averages --------------------------------------------------------------------------------------


def test_the_decay_of_averages_rises_by_a_cosine() -> None:
    recipe = Recipe.read("poa").with_steps(101)
    assert average_decay(recipe, 0) == pytest.approx(0.992) and average_decay(recipe, 100) == 0.9999
    assert average_decay(recipe, 50) == pytest.approx((0.992 + 0.9999) / 2)
    constant = Recipe.parse({**recipe.as_json(), "ema_final": None})
    assert {average_decay(constant, step) for step in range(101)} == {0.992}
    with pytest.raises(RecipeError, match="ema_final must be at least ema_decay"):
        Recipe.parse({**recipe.as_json(), "ema_final": 0.5})


def test_the_teacher_is_the_average_of_network_and_heads() -> None:
    training = begun()
    loss = training.loss
    assert isinstance(loss, PoaLoss)
    parts = (training.shard.average, training.net, loss.average, loss.heads)
    for step in range(3):
        before = [{k: v.clone() for k, v in part.named_parameters()} for part in (parts[0], parts[2])]
        train_step(training)
        decay = average_decay(training.recipe, step)
        assert decay is not None
        for old, mean, student in ((before[0], parts[0], parts[1]), (before[1], parts[2], parts[3])):
            own = dict(student.named_parameters())
            assert any(not torch.equal(old[name], own[name]) for name in own)
            for name, value in mean.named_parameters():
                assert torch.allclose(value, decay * old[name] + (1 - decay) * own[name], atol=1e-6)


# --- sizes -----------------------------------------------------------------------------------------


def test_counts_are_those_of_143_sizes_in_the_paper() -> None:
    found = counts((11, 13), 3.0)
    assert len(found) == 143 and (found[0, 0], found[10, 12]) == (9, 1)
    assert sum(found.values()) == 572


def test_a_list_is_used_up_before_the_next_begins_and_leaves_the_intact_network_out() -> None:
    axes = [Axis("width", "width", (1, 2, 3)), Axis("depth", "depth", (1, 2, 3, 4))]
    space, sampler = Space(axes), PoaSampler()
    number = {key: n for key, n in counts((3, 4), 3.0).items() if key != (2, 3)}
    for epoch in range(2):
        drawn = Counter()
        for step in range(sum(number.values())):
            intact, elastic = sampler.plan(space, step, np.random.default_rng([epoch, step]))
            assert intact.arch == space.max() and elastic.arch != space.max()
            assert (intact.weight, elastic.weight) == (0.8, pytest.approx(0.2))
            drawn[elastic.arch["width"] - 1, elastic.arch["depth"] - 1] += 1
        assert drawn == number


def test_other_axes_are_drawn_at_random_and_never_all_at_their_largest() -> None:
    sampler = PoaSampler()
    archs = [sampler.plan(SPACE, k, np.random.default_rng(k))[1].arch for k in range(300)]
    assert SPACE.max() not in archs
    assert {arch["layer1.ffn"] for arch in archs} == {16, 32}
    assert {(arch["width"], arch["depth"]) for arch in archs} == {(w, d) for w in (16, 24) for d in (1, 2, 3)}


# --- training --------------------------------------------------------------------------------------


def test_training_reads_no_labels(data: DataSet) -> None:
    wrong = dataclasses.replace(data.train, labels=data.train.labels.flip(0))
    other = dataclasses.replace(data, train=wrong)
    losses = []
    for each in (data, other):
        training = start(short("poa"), FAMILY, each, 0, task=TASK)
        losses.append([train_step(training) for _ in range(2)])
    assert losses[0] == losses[1]


def test_a_step_costs_two_passes_and_a_forward_as_was_estimated() -> None:
    training = begun()
    for _ in range(3):
        train_step(training)
    assert (training.passes, training.forwards) == (6, 3)
    assert Rehearsal(training.recipe.with_steps(3), FAMILY).run().billed == training.billed


def test_heads_teacher_and_list_are_in_the_state(data: DataSet, tmp_path: Path) -> None:
    recipe = short("poa")
    whole = train(recipe, FAMILY, data, tmp_path / "whole", task=TASK)
    train(recipe, FAMILY, data, tmp_path / "parts", task=TASK, until_step=3)
    parts = train(recipe, FAMILY, data, tmp_path / "parts", task=TASK)
    for label in ("sampler", "loss"):
        one, two = whole.parts()[label].state(), parts.parts()[label].state()
        assert one.keys() == two.keys()
        for key, value in one.items():
            equal = torch.equal(value, two[key]) if isinstance(value, torch.Tensor) else value == two[key]
            assert equal, f"{label} {key}"
    assert any(key.startswith("optimizer.") for key in whole.loss.state())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"ema_decay": None, "ema_final": None},
            "needs a part that gives 'average'.* ema_decay gives 'average'",
        ),
        ({"sampler": {"kind": "uniform"}}, "loss 'poa' needs a sampler .* choose sampler 'poa'"),
        ({"hooks": [{"kind": "masked"}]}, "weights of its own"),
        ({"loss": {"kind": "poa", "prototypes": []}}, "prototypes must be 1 to 16"),
        ({"loss": {"kind": "poa", "temperature": 0}}, "must lie in 0.001 to 100"),
        ({"loss": {"kind": "poa", "temperature": math.nan}}, "must lie in 0.001 to 100 .* got nan"),
        ({"loss": {"kind": "poa", "teacher_temperature": [0.04, math.inf]}}, "must lie in 0.001 to 100"),
        ({"loss": {"kind": "poa", "prototypes": [10**11]}}, "whole numbers from 1 to 65,536"),
        ({"loss": {"kind": "poa", "prototypes": [True]}}, "whole numbers from 1 to 65,536"),
        ({"loss": {"kind": "poa", "hidden": 10**6}}, "whole numbers from 1 to 65,536"),
        ({"loss": {"kind": "poa", "iterations": 10**9}}, "iterations must be a whole number from 1 to 100"),
        ({"loss": {"kind": "poa", "same_view": "no"}}, "same_view must be true or false, got 'no'"),
        ({"loss": {"kind": "poa", "koleo": math.nan}}, "koleo and weight_decay must be finite"),
        ({"sampler": {"kind": "poa", "share": 2}}, "share must be a share from 0 to 1"),
        (
            {"sampler": {"kind": "poa", "kinds": "width"}},
            "kinds must be a list of different kinds .* got 'width'",
        ),
        (
            {"sampler": {"kind": "poa", "kinds": ["depth", "depth"]}},
            "kinds must be a list of different kinds",
        ),
        ({"augment": {"crop": 0}}, "augment.crop"),
        ({"augment": {"crop": 0.2, "local": 0.3}}, "local must be at most crop, got 0.3 and crop 0.2"),
        ({"sampler": {"kind": "poa", "local": -1}}, "local must be a whole number from 0 to 16, got -1"),
        ({"sampler": {"kind": "poa", "local": True}}, "local must be a whole number from 0 to 16"),
        ({"sampler": {"kind": "poa", "local": 1.5}}, "local must be a whole number from 0 to 16"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_part(changes: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        short("poa", **changes)


def test_kinds_that_the_space_does_not_have_are_refused_but_for_the_usual_ones() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(RecipeError, match=r"kinds of axes of the space, got \['wdith'\]; choices: depth, "):
        PoaSampler(kinds=["wdith"]).plan(SPACE, 0, rng)
    depths = SPACE.restrict({axis.name: [axis.choices[-1]] for axis in SPACE.axes if axis.kind != "depth"})
    assert len(PoaSampler().plan(depths, 0, rng)) == 2


def test_views_differ_and_keep_their_form() -> None:
    images = torch.randint(0, 256, (6, 3, 16, 16), dtype=torch.uint8)
    views = [distort(images, torch.Generator().manual_seed(k), 0.3, 0.4, 0.5) for k in (0, 1, 0)]
    assert views[0].shape == images.shape and views[0].dtype == torch.uint8
    assert torch.equal(views[0], views[2]) and not torch.equal(views[0], views[1])
    # a share of a batch is augmented as in the whole batch
    part = distort(images[2:4], torch.Generator().manual_seed(0), 0.3, 0.4, 0.5, of=6, part=slice(2, 4))
    assert torch.equal(part, views[0][2:4])
    grey = distort(images, torch.Generator().manual_seed(0), grey=1.0)
    assert torch.equal(grey[:, 0], grey[:, 1]) and distort(images, torch.Generator()) is images


# --- local crops -----------------------------------------------------------------------------------


def areas(local: bool, n: int = 400) -> torch.Tensor:
    """Shares of the image that crops of the recipe's augmentation have, from an image whose values are places."""
    rows = torch.arange(0, 240, 4, dtype=torch.uint8).view(1, 1, 60, 1).expand(n, 1, 60, 60)
    options = Recipe.parse({**Recipe.read("poa").as_json(), "augment": {"crop": 0.3, "local": 0.05}}).augment
    made = [
        TASK.augment(each, torch.Generator().manual_seed(3), **options.options(local=local))
        for each in (rows, rows.transpose(2, 3))
    ]
    sides = [(each.flatten(1).amax(1).int() - each.flatten(1).amin(1).int() + 4) / 240 for each in made]
    return sides[0] * sides[1]


def test_local_crops_are_smaller_than_views_of_the_whole_image() -> None:
    small, whole = areas(local=True), areas(local=False)
    assert 0.03 < float(small.min()) < 0.07 and 0.27 < float(small.max()) < 0.35
    assert 0.27 < float(whole.min()) < 0.35 and float(whole.max()) > 0.9


def test_students_see_local_crops_at_the_smallest_image_size() -> None:
    family = small_vit(resolutions=[8, 16])
    space = family.space()
    plain, local = PoaSampler(), PoaSampler(local=2)
    assert (plain.views, local.views, local.local) == (2, 4, 2)
    for step in range(20):
        intact, elastic = plain.plan(space, step, np.random.default_rng(step))
        items = local.plan(space, step, np.random.default_rng(step))
        assert [item.role for item in items] == [
            "intact",
            "elastic",
            "intact_local1",
            "elastic_local1",
            "intact_local2",
            "elastic_local2",
        ]
        assert [item.view for item in items] == [1, 1, 2, 2, 3, 3]
        assert [item.arch for item in items[:2]] == [intact.arch, elastic.arch]
        for one, item in zip((intact, elastic) * 2, items[2:], strict=True):
            assert item.arch.as_dict() == {**one.arch.as_dict(), "resolution": 8}
        assert [item.weight for item in items] == pytest.approx([0.8 / 3, 0.2 / 3] * 3)
    assert [item.arch for item in PoaSampler(local=1).plan(SPACE, 0, np.random.default_rng(0))[2:]] == [
        item.arch for item in PoaSampler().plan(SPACE, 0, np.random.default_rng(0))
    ]


def test_local_crops_have_both_terms_of_their_own_view() -> None:
    loss, (a, b1, b2, far) = made(), (features(seed) for seed in range(4))
    for view in (1, 2):
        bank = {AVERAGE: a.detach(), "intact": far.detach(), "intact_local1": far.detach()}
        bank["intact" if view == 1 else "intact_local1"] = b1.detach()
        role = "elastic" if view == 1 else "elastic_local1"
        found = loss(
            TASK, Item(SPACE.min(), role, targets_from=AVERAGE, view=view), b2, torch.zeros(32), bank
        )
        if view == 1:
            expected = found
    assert torch.equal(found, expected)
    bank = {AVERAGE: a.detach(), "intact": far.detach()}
    alone = loss(
        TASK, Item(SPACE.max(), "intact_local1", targets_from=AVERAGE, view=2), b1, torch.zeros(32), bank
    )
    assert torch.equal(
        alone,
        loss(TASK, Item(SPACE.max(), "intact", targets_from=AVERAGE, view=1), b1, torch.zeros(32), bank),
    )


def test_the_teacher_does_not_see_local_crops(data: DataSet) -> None:
    """Its one forward a step has the inputs of a training without them; those of students get two passes each."""
    family = small_vit(resolutions=[8, 16])
    seen = {}
    for local in (0, 2):
        recipe = short("poa", sampler={"kind": "poa", "local": local})
        training = start(recipe, family, data, 0, task=TASK)
        average, shapes = training.shard.average, []
        assert average is not None
        average.register_forward_pre_hook(lambda _, inputs, shapes=shapes: shapes.append(inputs[0].clone()))
        train_step(training)
        assert (training.passes, training.forwards) == (2 * (1 + local), 1)
        (seen[local],) = shapes
    assert torch.equal(seen[0], seen[2]) and seen[0].shape[2:] == (16, 16)


def test_a_training_with_local_crops_resumes_bit_for_bit(data: DataSet, tmp_path: Path) -> None:
    family, recipe = small_vit(resolutions=[8, 16]), short("poa", sampler={"kind": "poa", "local": 2})
    whole = train(recipe, family, data, tmp_path / "whole", task=TASK)
    train(recipe, family, data, tmp_path / "parts", task=TASK, until_step=3)
    parts = train(recipe, family, data, tmp_path / "parts", task=TASK)
    one, two = whole.result.state_dict(), parts.result.state_dict()
    assert all(torch.equal(value, two[name]) for name, value in one.items())


def test_the_recipe_without_local_crops_keeps_its_hash() -> None:
    recipe = Recipe.read("poa")
    assert "local" not in recipe.augment.hashed() and "local" not in recipe.sampler.options
    changed = Recipe.parse({**recipe.as_json(), "augment": {**recipe.as_json()["augment"], "local": 0.1}})
    assert changed.sha256 != recipe.sha256


def test_a_recipe_of_very_small_crops_is_the_same_after_it_was_stored() -> None:
    """All its values are written down, those of local crops too, which it need not have."""
    recipe = Recipe.parse({**Recipe.read("poa").as_json(), "augment": {"crop": 0.02}})
    again = Recipe.parse(recipe.as_json())
    assert again == recipe and again.sha256 == recipe.sha256
    assert recipe.augment.options(local=True)["crop"] == 0.02
    assert Recipe.read("poa").augment.options(local=True)["crop"] == 0.05


# --- features --------------------------------------------------------------------------------------


def test_features_of_cut_subnets_are_those_of_the_elastic_network(data: DataSet) -> None:
    net = begun().result.eval()
    rng = np.random.default_rng(0)
    for arch in {SPACE.min(), SPACE.max(), *SPACE.decode(SPACE.sample(rng, 10))}:
        images = TASK.prepare(data.test.stored[:5], data.preprocessing(), FAMILY.dimensions(arch))
        with torch.no_grad(), use(net, arch):
            elastic = net(*images)
        with torch.no_grad():
            plain = extract(net, arch, None)(*images)
        assert plain.shape == (5, 256) and torch.allclose(plain, elastic, atol=1e-5)


def test_the_intact_network_is_the_plain_model(data: DataSet) -> None:
    net, largest = begun().result.eval(), SPACE.max()
    single = {
        axis: choices[-1:]
        for axis, choices in {"widths": [24], "depths": [3], "heads": [2], "ffns": [32]}.items()
    }
    plain = Vit.from_config({**FAMILY.config(), **single, "depths": [2, 3]}).build().eval()
    plain.load_weights(dict(net.state_dict()))
    images = TASK.prepare(data.test.stored[:5], data.preprocessing(), FAMILY.dimensions(largest))
    with torch.no_grad():
        with use(net, largest):
            expected = net(*images)
        with use(plain, plain.family.space().max()):
            assert torch.equal(plain(*images), expected)


def test_neighbours_vote_with_their_similarity() -> None:
    known = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [-1.0, 0.0]])
    score = neighbours(known, torch.tensor([0, 0, 1, 1]), k=3, temperature=0.07)
    assert score(torch.tensor([[5.0, 0.1], [0.1, 3.0]]), torch.tensor([0, 1])).tolist() == [1.0, 1.0]
    nearest = neighbours(known, torch.tensor([1, 0, 0, 0]), k=4, temperature=10.0)
    assert nearest(torch.tensor([[1.0, 0.0]]), torch.tensor([0])).tolist() == [1.0]  # a plain vote of all


def test_a_linear_probe_separates_what_a_line_separates() -> None:
    x = torch.randn(200, 5, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 1, 1, 1, 100])
    labels = (x[:, 0] + x[:, 1] > 0).long()
    score = linear_probe(x[:150], labels[:150])
    assert float(score(x[150:], labels[150:]).mean()) > 0.9
    assert torch.equal(score(x, labels), linear_probe(x[:150], labels[:150])(x, labels))


def test_both_qualities_are_of_the_split_and_need_training_images(data: DataSet) -> None:
    net = begun().result.eval()
    for metric in ("knn_accuracy", "linear_probe_accuracy"):
        found = evaluate_net(net, TASK, data, SPACE.max(), "validation", metric=metric)
        assert found.metric == metric and 0.3 < found.value <= 1  # random features of digits are not useless
    with pytest.raises(DataError, match="use its scorer"):
        TASK.scores(torch.zeros(2, 256), torch.zeros(2))
