"""A subnet of every family of networks is trained further: of images, of texts, and of a converted network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load

from supernets import FAMILIES, TASKS
from supernets.checkpoints import Supernet, load_supernet
from supernets.data import DataSet, load_data
from supernets.elastic.active import use
from supernets.errors import DataError, RecipeError
from supernets.evaluate import evaluate_arch, evaluate_net
from supernets.export.subnet import FileRequest, write_subnet
from supernets.families.family import Family
from supernets.recipes.recipe import Recipe
from supernets.records import DataRecord
from supernets.training.finetune import (
    finetuned_data,
    finetuned_net,
    finetuned_supernet,
    finish_finetune,
    plan_finetune,
)
from supernets.training.loop import RunOptions, train
from tests.contracts.test_families import config
from tests.small import TEXT_FAMILY, converted_family, short, small_corpus, small_texts, small_vit

ZOO = Path(__file__).resolve().parents[2] / "zoo"
RECIPE = Recipe.read("finetune").with_steps(3).model_copy(update={"batch_size": 8})


def supernet_of(family: Family, task: str, data: DataSet) -> Supernet:
    """A supernet with random weights that was trained on ``data``, according to its manifest."""
    kind, digits = TASKS.load(task), load_supernet(ZOO / "digits").manifest
    manifest = digits.model_copy(
        update={
            "name": "small",
            "family": family.name,
            "config": family.config(),
            "task": task,
            "quality": kind.quality,
            "space_sha256": family.space().sha256,
            "data": DataRecord.model_validate(data.describe()),
            "preprocessing": data.preprocessing(),
            "classes": list(data.classes),
        }
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Supernet(manifest, family, family.build().eval())


def family_and_data(name: str, folder: Path) -> tuple[Family, str, DataSet]:
    kind: Any = FAMILIES.load(name)
    if name == "bert":
        return (
            kind.from_config({**TEXT_FAMILY, "num_classes": 3}),
            "text_classification",
            load_data(small_texts(folder)),
        )
    if name == "gpt":
        return kind.from_config(TEXT_FAMILY), "language_modelling", load_data(small_corpus(folder))
    family = converted_family() if name == "traced" else kind.from_config(config(name))
    return family, "image_classification", load_data("digits")


@pytest.mark.parametrize("name", ["proxyless", "resnet50", "traced", "vit", "bert", "gpt"])
def test_a_subnet_is_trained_further_and_its_file_has_the_quality_of_the_record(
    name: str, tmp_path: Path
) -> None:
    family, task, data = family_and_data(name, tmp_path / "data")
    supernet = supernet_of(family, task, data)
    arch = family.space().min()
    finetune = plan_finetune(supernet, arch, data, RECIPE, 3)
    training = train(finetune.plan, tmp_path / "out", RunOptions(evaluate_every=1000))
    record, weights = finish_finetune(finetune, training)
    change = record.change
    assert (record.classifier, record.stage.steps, change.metric) == ("kept", 3, supernet.task.quality)
    assert change.before.value == pytest.approx(evaluate_arch(supernet, data, arch, "test").value)

    tuned = finetuned_supernet(supernet.manifest, record)
    net = finetuned_net(tuned, arch, load(weights))
    seen = finetuned_data(record, data, tuned.task)
    inputs = tuned.task.prepare(data.test.stored, seen.preprocessing(), tuned.family.dimensions(arch))
    with torch.inference_mode():
        scores = tuned.task.scores(net(*inputs), tuned.task.targets(data.test.labels, seen))
    assert tuned.task.summarise(scores)[0] == pytest.approx(change.after.value, rel=1e-5)
    if name in ("bert", "gpt"):
        form = FileRequest("onnx", "fp32", 18, None, None)
        written = write_subnet(tuned, seen, arch, net, record.stats_sha256, form, tmp_path, None)
        assert written.path.is_file() and written.parity["max_error"] <= 1e-4  # type: ignore[operator]
    assert {**record.preprocessing, **supernet.manifest.preprocessing} == record.preprocessing


def test_a_subnet_without_labels_is_trained_further_by_the_recipe_of_its_task(tmp_path: Path) -> None:
    data, family = load_data("digits"), small_vit()
    supernet = supernet_of(family, "self_supervised_images", data)
    arch = family.space().min()
    with pytest.raises(RecipeError, match="choose a loss that compares views"):
        train(plan_finetune(supernet, arch, data, RECIPE, 3).plan, tmp_path / "no")
    assert supernet.task.recipe == "poa"
    recipe = short(supernet.task.recipe, steps=3, schedule={"warmup_steps": 0}, ema_decay=0.5, ema_final=None)
    finetune = plan_finetune(supernet, arch, data, recipe, 3)
    training = train(finetune.plan, tmp_path / "out", RunOptions(evaluate_every=1000))
    record, weights = finish_finetune(finetune, training)
    change = record.change
    assert (record.stage.passes, record.classifier, change.metric) == (3, "kept", "knn_accuracy")
    before = evaluate_net(supernet.net, supernet.task, data, arch, "test")
    after = evaluate_net(training.result, supernet.task, data, arch, "test")
    assert (change.before.value, change.after.value) == (before.value, after.value)
    net = finetuned_net(finetuned_supernet(supernet.manifest, record), arch, load(weights))
    images = supernet.task.prepare(data.test.stored[:5], record.preprocessing, family.dimensions(arch))
    with torch.no_grad(), use(training.result.eval(), arch):
        assert torch.allclose(net(*images), training.result(*images), atol=1e-5)


@pytest.mark.parametrize("name", ["proxyless", "resnet50", "bert"])
def test_other_classes_get_a_new_classifier(name: str, tmp_path: Path) -> None:
    family, task, data = family_and_data(name, tmp_path / "data")
    supernet = supernet_of(family, task, data)
    others = [f"other {index}" for index in range(5 if name == "bert" else 12)]
    renamed = supernet.manifest.model_copy(update={"classes": others})
    sized = {**family.config(), type(family).fitted["outputs"]: len(others)}
    wider: Family = type(family).from_config(sized)
    elsewhere = Supernet(renamed.model_copy(update={"config": sized}), wider, wider.build().eval())
    finetune = plan_finetune(elsewhere, family.space().min(), data, RECIPE, 3)
    assert finetune.classifier == "new"
    training = train(finetune.plan, tmp_path / "out", RunOptions(evaluate_every=1000))
    record, _ = finish_finetune(finetune, training)
    assert record.classes == list(data.classes) and record.config[type(family).fitted["outputs"]] == len(
        data.classes
    )


def test_what_the_network_cannot_read_is_refused(tmp_path: Path) -> None:
    digits, texts = load_data("digits"), load_data(small_texts(tmp_path))
    bert = supernet_of(*family_and_data("bert", tmp_path / "data"))
    with pytest.raises(DataError, match="needs text, but 'digits' holds images"):
        plan_finetune(bert, bert.space.min(), digits, RECIPE, 0)
    images = supernet_of(*family_and_data("proxyless", tmp_path))
    with pytest.raises(DataError, match="needs images, but .* holds text"):
        plan_finetune(images, images.space.min(), texts, RECIPE, 0)
    other = {**bert.manifest.preprocessing, "tokenizer_sha256": "0" * 64}
    foreign = Supernet(bert.manifest.model_copy(update={"preprocessing": other}), bert.family, bert.net)
    with pytest.raises(
        DataError, match="must have the tokenizer of 'small', which has 256 tokens.*tokenizer=PATH"
    ):
        plan_finetune(foreign, bert.space.min(), texts, RECIPE, 0)
    traced = supernet_of(*family_and_data("traced", tmp_path))
    named = Supernet(
        traced.manifest.model_copy(update={"classes": list("abcdefghij")}), traced.family, traced.net
    )
    with pytest.raises(DataError, match="'traced' has no setting for the number of classes"):
        plan_finetune(named, traced.space.min(), digits, RECIPE, 0)
