"""A teacher from outside: a supernet's largest net or an exported file, its logits the targets, its hash kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from supernets import EXPORTERS, TASKS
from supernets.checkpoints import load_supernet
from supernets.data import DataSet, load_data, prepare
from supernets.elastic.active import use
from supernets.errors import CheckpointError, DataError, RecipeError
from supernets.export.metadata import file_metadata
from supernets.extract import extract
from supernets.recipes.recipe import Recipe
from supernets.training.estimate import Rehearsal
from supernets.training.loop import train_step
from supernets.training.steps.teacher import ExternalTeacher, read_teacher
from tests.small import interface_of, small_family, start, train

ZOO = Path(__file__).parents[2] / "zoo" / "digits"


@pytest.fixture(scope="module")
def data() -> DataSet:
    return load_data("digits")


@pytest.fixture(scope="module")
def teacher() -> ExternalTeacher:
    return read_teacher(ZOO)


def recipe(**changes: object) -> Recipe:
    sampler = {"kind": "uniform", "subnets": 2, "teacher": True}
    loss = {"kind": "labels_and_teacher", "kappa": 1.0, "label_smoothing": 0.0}
    values = {
        **Recipe.read("random").as_json(),
        "steps": 4,
        "batch_size": 8,
        "schedule": {},
        "teacher": "external",
    }
    return Recipe.parse({**values, "sampler": sampler, "loss": loss, **changes})


def test_a_supernets_largest_net_speaks_with_its_own_preprocessing(
    data: DataSet, teacher: ExternalTeacher
) -> None:
    supernet = load_supernet(ZOO)
    largest, images = supernet.space.max(), data.test.images[:64]
    ready = prepare(images, supernet.family.dimensions(largest)["height"], data.mean, data.std)
    with torch.no_grad(), use(supernet.net, largest):
        assert torch.equal(teacher(images), supernet.net(ready))
    right = (teacher(data.test.images).argmax(1) == data.test.labels).float().mean()
    assert float(right) == pytest.approx(supernet.manifest.report["panel"][-1]["test"]["value"], abs=0.01)


def test_an_exported_file_teaches_what_its_net_does(data: DataSet, tmp_path: Path) -> None:
    supernet = load_supernet(ZOO)
    largest = supernet.space.max()
    resolution = supernet.family.dimensions(largest)["height"]
    net = extract(supernet.net, largest, None)
    metadata = file_metadata(
        supernet="digits",
        arch=largest.as_dict(),
        weights_sha256="0",
        stats_sha256="0",
        preprocessing={**data.preprocessing(), **supernet.family.dimensions(largest)},
        classes=list(data.classes),
        task="image_classification",
        quality=None,
        licence="Apache-2.0",
    )
    example = prepare(data.test.images[:2], resolution, data.mean, data.std)
    path = tmp_path / "net.onnx"
    EXPORTERS.load("onnx")().export(net, (example,), path, interface_of(example), metadata=metadata)
    exported = read_teacher(path)
    images = data.test.images[:16]
    assert torch.allclose(exported(images), read_teacher(ZOO)(images), atol=1e-4)
    assert exported.name == "net" and len(exported.sha256) == 64


def test_its_logits_are_the_targets_and_a_forward_is_billed_once_a_step(
    data: DataSet, teacher: ExternalTeacher
) -> None:
    training = start(recipe(), small_family(), data, 0, teacher=teacher)
    losses = train_step(training)
    assert (training.passes, training.forwards) == (2, 1)
    assert Rehearsal(recipe(), small_family(), external=True).run().billed == pytest.approx(4 * (2 + 1 / 3))
    # the same step by hand, on the first item: cross entropy with the labels, and with the teacher's soft labels
    again = start(recipe(), small_family(), data, 0, teacher=teacher)
    images, labels = data.train.batch(8, 0, 0)
    from supernets.data import augment, step_generator
    from supernets.training.loop import _plan

    item = _plan(again, again.shard)[0]
    images = augment(images, step_generator(0, 0), again.recipe.augment.pad, again.recipe.augment.flip)
    ready = prepare(images, again.family.dimensions(item.arch)["height"], data.mean, data.std)
    again.net.train()
    with torch.no_grad(), use(again.net, item.arch):
        logits = again.net(ready.contiguous(memory_format=torch.channels_last))
    expected = F.cross_entropy(logits, labels) + F.cross_entropy(logits, F.softmax(teacher(images), 1))
    assert losses[item.role] == pytest.approx(float(expected), rel=1e-5)


def test_it_stands_for_the_recipes_own_teacher(data: DataSet, teacher: ExternalTeacher) -> None:
    values = {**Recipe.read("progressive_shrinking").as_json(), "steps": 8, "batch_size": 8, "schedule": {}}
    training = start(Recipe.parse(values), small_family(), data, 0, teacher=teacher)
    for _ in range(3):  # the recipe freezes its own at a quarter
        train_step(training)
    assert training.teacher is None and training.forwards == 3


def test_provenance_and_resume_hold_its_hash(data: DataSet, teacher: ExternalTeacher, tmp_path: Path) -> None:
    options = {"evaluate_every": 9, "teacher": teacher}
    whole = train(recipe(), small_family(), data, tmp_path / "whole", **options)
    train(recipe(), small_family(), data, tmp_path / "parts", until_step=2, **options)
    parts = train(recipe(), small_family(), data, tmp_path / "parts", **options)
    assert all(torch.equal(v, parts.net.state_dict()[n]) for n, v in whole.net.state_dict().items())
    taught_by = whole.record().teacher
    assert taught_by is not None and (taught_by.name, taught_by.sha256) == ("digits", teacher.sha256)
    assert (
        json.loads((tmp_path / "whole" / "training.json").read_text())["stage"]["teacher"]["name"] == "digits"
    )
    with pytest.raises(CheckpointError, match="another teacher"):
        train(recipe(), small_family(), data, tmp_path / "parts", teacher=replace(teacher, sha256="other"))


def test_a_teacher_that_does_not_fit_is_refused(
    data: DataSet, teacher: ExternalTeacher, tmp_path: Path
) -> None:
    def begin(made: Recipe, **changes: object) -> None:
        start(made, small_family(), data, 0, teacher=replace(teacher, **changes))  # type: ignore[arg-type]

    with pytest.raises(CheckpointError, match="10 classes of 'digits', 'digits' has 3"):
        begin(recipe(), classes=("a", "b", "c"))
    with pytest.raises(CheckpointError, match="'9' in place of '0'"):
        begin(recipe(), classes=teacher.classes[::-1])
    with pytest.raises(CheckpointError, match="must have 1 channels, 'digits' has 3"):
        begin(recipe(), dimensions={**teacher.dimensions, "channels": 3})
    with pytest.raises(CheckpointError, match="must be of task 'image_classification'"):
        begin(recipe(), task=TASKS.load("image_regression")())
    with pytest.raises(RecipeError, match="no subnet of recipe 'sandwich' uses a teacher"):
        begin(Recipe.parse({**Recipe.read("sandwich").as_json(), "steps": 4, "schedule": {}}))
    with pytest.raises(RecipeError, match="name one"):
        start(recipe(), small_family(), data, 0)
    with pytest.raises(DataError, match="would mix"):
        start(recipe(), small_family(), load_data("digits", seed=1), 0, teacher=teacher)
    with pytest.raises(RecipeError, match='"external" promises one'):
        recipe(teacher="own")
    with pytest.raises(CheckpointError, match=r"must hold manifest\.json"):
        read_teacher(tmp_path)
