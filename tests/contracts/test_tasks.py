"""What every task promises, with every family and recipe; registering one is being tested."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from supernets import EXPORTERS, FAMILIES, TASKS
from supernets.convert import convert
from supernets.data import DataSet, load_data
from supernets.errors import DataError, RecipeError, SpaceError, TrainingError
from supernets.evaluate import calibrate, evaluate_net, example_scores
from supernets.export.parity import prove_parity
from supernets.extract import extract
from supernets.families.family import Family
from supernets.metrics import METRICS
from supernets.recipes.recipe import Recipe, built_in
from supernets.tasks.task import CategoricalTask, Task
from supernets.training.loop import train_step
from tests.contracts.test_families import config as config_of
from tests.small import short, small_corpus, small_texts, start

TRAINABLE = [name for name in FAMILIES if FAMILIES.load(name).has_network]
UNFIT_FAMILIES = {
    "image_classification": {"bert": "channels", "gpt": "channels"},
    "image_regression": {"bert": "channels", "gpt": "channels"},
    "self_supervised_images": {"bert": "channels", "gpt": "channels"},
    "language_modelling": {
        **dict.fromkeys(("mobilenet_v3", "proxyless", "resnet50", "traced", "vit"), "vocabulary"),
        "bert": "token_outputs",
    },
    "text_classification": dict.fromkeys(
        ("mobilenet_v3", "proxyless", "resnet50", "traced", "vit"), "vocabulary"
    ),
}
"""Families that a task refuses, and a dimension that they lack: a family of other inputs, or other outputs."""
FITTING = {task: [each for each in TRAINABLE if each not in UNFIT_FAMILIES[task]] for task in TASKS}
COMBINATIONS = [(task, family) for task in TASKS for family in FITTING[task]]


DATA = {
    "image_classification": lambda _: "digits",
    "image_regression": lambda _: "digits",
    "language_modelling": small_corpus,
    "self_supervised_images": lambda _: "digits",
    "text_classification": small_texts,
}
"""A small data set for each task."""


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, DataSet]:
    made = {name: load_data(spec(tmp_path_factory.mktemp(name))) for name, spec in DATA.items()}
    assert set(made) == set(TASKS)
    return made


@pytest.fixture(params=list(TASKS))
def task(request: pytest.FixtureRequest) -> Task:
    made: Task = TASKS.load(request.param)()
    return made


@pytest.fixture
def data(task: Task, sets: dict[str, DataSet]) -> DataSet:
    return sets[task.name]


def converted(channels: int, outputs: int) -> Family:
    """The family of a small network of a user's own."""
    torch.manual_seed(0)
    body = [nn.Conv2d(channels, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU()]
    body += [nn.Conv2d(16, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU()]
    network = nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, outputs))
    family: Family = convert(network, torch.randn(2, channels, 16, 16)).family
    return family


NO_STAGES = "no stage has an axis of kind 'depth'"
UNFIT = {
    "traced": {
        "compound": "no axis of kind 'expand' to couple",
    },
    **{name: {"compound": NO_STAGES} for name in ("bert", "gpt", "vit")},
}
"""Recipes that refuse families, and why: converted networks have no axis of the kind, and
transformers have one depth for all blocks, which none of them could follow."""


def family_for(task: Task, name: str, data: DataSet) -> Family:
    """A small family of this kind, of the dimensions that the task needs for the data."""
    kind = FAMILIES.load(name)
    sizes = task.dimensions(data)
    if name == "traced":  # its dimensions are those of the network that was converted
        return converted(sizes["channels"] or 1, sizes["outputs"] or 1)
    config = {setting: sizes.get(dimension) for dimension, setting in kind.fitted.items()}
    family: Family = kind.from_config({**config_of(name), **config})
    return family


def test_its_quality_is_a_metric_with_a_direction_and_the_name_is_the_registered_one(task: Task) -> None:
    assert TASKS.load(task.name) is type(task)
    assert METRICS[task.quality].source == "evaluated" and task.metric.direction in ("min", "max")
    assert all(METRICS[name].source == "evaluated" for name in task.further)


def test_a_batch_has_the_inputs_of_its_arch_and_a_score_for_each_example(task: Task, data: DataSet) -> None:
    stored, labels = data.validation.stored[:6], data.validation.labels[:6]
    targets = task.targets(labels, data)
    for name in FITTING[task.name]:
        family = family_for(task, name, data)
        task.check(family, data)
        net = family.build().eval()
        for arch in (family.space().min(), family.space().max()):
            dimensions = family.dimensions(arch)
            inputs = task.prepare(stored, data.preprocessing(), dimensions)
            interface = task.interface(dimensions)
            for got, example, named in zip(
                inputs, task.example(dimensions, 6), interface.inputs, strict=True
            ):
                assert got.shape == example.shape and str(got.dtype) == f"torch.{named.dtype}"
                fixed = [size for size in named.shape if not isinstance(size, str)]
                assert fixed == [size for size in got.shape[1:] if size in fixed]
            with torch.no_grad():
                outputs = extract(net, arch, None)(*inputs)
            for metric in (task.quality, *task.further):
                score = task.scorer(metric, outputs, targets)
                scores = score(outputs, targets)
                assert scores.shape == (6,) and scores.dtype == torch.float64
                # an example's score does not depend on the others in its batch
                alone = torch.cat([score(outputs[k : k + 1], targets[k : k + 1]) for k in range(6)])
                assert torch.equal(scores, alone)


def test_quality_has_a_standard_error_and_paired_scores_a_smaller_one(task: Task) -> None:
    rng = np.random.default_rng(0)
    first = torch.from_numpy((rng.random(400) < 0.7).astype(np.float64))
    second = first.clone()
    second[:8] = 1 - second[:8]
    value, error = task.summarise(first)
    difference, paired = task.difference(first, second)
    assert 0 < error < 1 and difference == pytest.approx(value - task.summarise(second)[0])
    assert 0 < paired < error
    assert task.difference(first, first) == (0.0, 0.0)
    with pytest.raises(DataError, match="same examples"):
        task.difference(first, first[:3])


def test_losses_have_their_minimum_at_the_targets_and_leave_the_teacher_alone(
    task: Task, data: DataSet
) -> None:
    targets = task.targets(data.validation.labels[:32], data)
    if not task.supervised:
        with pytest.raises(RecipeError, match="trains without labels"):
            task.loss(torch.zeros(32, 4), targets)
        return
    sizes = task.dimensions(data)
    shape = (
        (32, sizes["outputs"] or 1) if "outputs" in sizes else (*targets.shape, sizes["token_outputs"] or 1)
    )
    outputs = torch.zeros(shape, requires_grad=True)
    teacher = torch.randn(shape, requires_grad=True)
    before = task.loss(outputs, targets)
    before.backward()
    assert outputs.grad is not None
    after = task.loss(outputs.detach() - 0.5 * outputs.grad, targets)
    assert float(after) < float(before.detach())
    task.soft_loss(outputs, teacher, targets).backward()
    assert teacher.grad is None
    same, other = (task.soft_loss(each, teacher, targets) for each in (teacher.detach(), -teacher.detach()))
    assert float(same) < float(other)


def test_a_person_sees_an_example(task: Task, data: DataSet) -> None:
    shown = task.show(data.test.stored[0], data.test.labels[0], data)
    if task.reads == "images":
        assert shown.media_type == "image/png" and shown.content.startswith(b"\x89PNG")
    else:
        assert shown.media_type == "text/plain" and shown.content.decode().strip()
    if data.classes:
        assert data.classes[int(data.test.labels[0])] in shown.target


@pytest.mark.parametrize(
    ("name", "family"), [(task, family) for task, found in UNFIT_FAMILIES.items() for family in found]
)
def test_a_family_of_other_inputs_or_outputs_is_refused(
    name: str, family: str, sets: dict[str, DataSet]
) -> None:
    task: Task = TASKS.load(name)()
    made: Family = FAMILIES.load(family).from_config(config_of(family))
    with pytest.raises(DataError, match=f"no .*{UNFIT_FAMILIES[name][family]}"):
        task.check(made, sets[name])


def test_data_of_another_kind_are_refused(task: Task, sets: dict[str, DataSet]) -> None:
    for other in TASKS:
        if TASKS.load(other).reads != task.reads:
            with pytest.raises(DataError, match=f"needs {task.reads}"):
                task.check_kind(sets[other])


@pytest.mark.parametrize("recipe", built_in())
@pytest.mark.parametrize(("name", "family"), COMBINATIONS)
def test_every_recipe_trains_every_family_for_every_task(
    name: str, family: str, recipe: str, sets: dict[str, DataSet]
) -> None:
    task: Task = TASKS.load(name)()
    data = sets[name]
    made = short(recipe, dropout=0.0)
    sized = family_for(task, family, data)
    if made.make_loss().without_labels == task.supervised:
        refusal = "choose a task that trains without" if task.supervised else "trains without labels"
        with pytest.raises(RecipeError, match=UNFIT.get(family, {}).get(recipe, refusal)):
            start(made, sized, data, 0, task=task)
        return
    if made.make_loss().needs_choices and not isinstance(task, CategoricalTask):
        with pytest.raises(RecipeError, match="compares probabilities"):
            start(made, sized, data, 0, task=task)
        return
    if made.pruner is not None and not sized.prunable:
        with pytest.raises(RecipeError, match="no units that can be removed"):
            start(made, sized, data, 0, task=task)
        return
    if any(part.grows for part in made.make_controllers()) and not sized.growths(1, 1):
        with pytest.raises(RecipeError, match="no axis and no block that can grow"):
            start(made, sized, data, 0, task=task)
        return
    if refusal := UNFIT.get(family, {}).get(recipe):
        with pytest.raises((RecipeError, SpaceError, TrainingError), match=refusal):
            train_step(start(made, sized, data, 0, task=task))
        return
    training = start(made, sized, data, 0, task=task)
    losses = [train_step(training) for _ in range(2)]
    assert all(math.isfinite(value) for step in losses for value in step.values())


@pytest.mark.parametrize(("name", "family"), COMBINATIONS)
def test_a_subnet_is_evaluated_compared_and_exported(
    name: str, family: str, sets: dict[str, DataSet], tmp_path: Path
) -> None:
    task: Task = TASKS.load(name)()
    data = sets[name]
    sized = family_for(task, family, data)
    training = start(Recipe.read("sandwich" if task.supervised else "poa"), sized, data, 0, task=task)
    net, space = training.result.eval(), sized.space()
    found = {}
    for arch in (space.min(), space.max()):
        stats = calibrate(net, task, data, arch)
        found[arch] = example_scores(net, task, data, arch, stats, "validation")
        evaluation = evaluate_net(net, task, data, arch, "validation", stats)
        assert (evaluation.metric, evaluation.n) == (task.quality, len(data.validation))
        assert (evaluation.value, evaluation.standard_error) == task.summarise(found[arch])
        for metric in task.further:
            further = evaluate_net(net, task, data, arch, "validation", stats, metric=metric)
            assert (further.metric, further.n) == (metric, len(data.validation))
    difference, error = task.difference(*found.values())
    assert math.isfinite(difference) and error >= 0  # 0 where both untrained nets make the same mistakes
    dimensions = sized.dimensions(space.min())
    examples = task.prepare(data.test.stored[:4], data.preprocessing(), dimensions)
    interface = task.interface(dimensions)
    plain = extract(net, space.min(), calibrate(net, task, data, space.min()))
    for exporter in EXPORTERS:
        path = tmp_path / f"net-{exporter}"
        EXPORTERS.load(exporter)().export(plain, examples, path, interface)
        assert prove_parity(plain, path, examples, interface, exporter=exporter).max_error <= 1e-4


def test_a_family_of_other_dimensions_is_refused(task: Task, data: DataSet) -> None:
    for name in FITTING[task.name]:
        kind = FAMILIES.load(name)
        for dimension, setting in kind.fitted.items():
            if dimension not in task.dimensions(data):
                continue  # a language model has no classes
            config = {**family_for(task, name, data).config(), setting: 7}
            with pytest.raises(DataError, match=f"7 {dimension}"):
                task.check(kind.from_config(config), data)


def test_regression_refuses_classes_that_are_no_numbers(sets: dict[str, DataSet]) -> None:
    data = sets["image_regression"]
    named = DataSet("pets", tuple("abcdefghij"), data.train, data.validation, data.test)
    with pytest.raises(DataError, match="must be numbers"):
        TASKS.load("image_regression")().check_data(named)
