"""Fine-tuning: one subnet alone, from its own weights, with the quality before and after."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load

from supernets.checkpoints import Supernet, load_supernet
from supernets.data import DataSet, load_data
from supernets.errors import CheckpointError, DataError
from supernets.evaluate import evaluate_arch
from supernets.official import imagenet
from supernets.recipes.recipe import Recipe
from supernets.spaces.space import Arch
from supernets.training.finetune import (
    FineTune,
    FineTuneRecord,
    finetuned_data,
    finetuned_net,
    finetuned_supernet,
    finish_finetune,
    known_outputs,
    narrowed,
    plan_finetune,
)
from supernets.training.loop import RunOptions, Training, start, train

ZOO = Path(__file__).resolve().parents[2] / "zoo"
SHORT = Recipe.read("finetune").with_steps(6)


@pytest.fixture(scope="module")
def supernet() -> Supernet:
    return load_supernet(ZOO / "digits")


@pytest.fixture(scope="module")
def digits() -> DataSet:
    return load_data("digits")


@pytest.fixture(scope="module")
def arch(supernet: Supernet) -> Arch:
    space = supernet.space
    return space.decode(space.sample(np.random.default_rng(1), 1))[0]


@pytest.fixture(scope="module")
def shades(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """Grey images of three classes that differ in brightness."""
    root = tmp_path_factory.mktemp("shades")
    random = np.random.default_rng(0)
    for shade, name in ((40, "dark"), (120, "middle"), (200, "light")):
        (root / name).mkdir()
        for index in range(50):
            pixels = random.integers(shade - 30, shade + 30, (32, 32), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index}.png")
    return load_data(f"folder:{root}")


def trained(finetune: FineTune, out: Path, until: int | None = None) -> Training:
    return train(finetune.plan, out, RunOptions(until_step=until, evaluate_every=1000))


def done(
    supernet: Supernet, arch: Arch, data: DataSet, out: Path, recipe: Recipe = SHORT
) -> tuple[FineTuneRecord, bytes]:
    finetune = plan_finetune(supernet, arch, data, recipe, 3)
    return finish_finetune(finetune, trained(finetune, out))


def test_the_result_is_one_subnet_whose_quality_is_that_of_the_record(
    supernet: Supernet, arch: Arch, digits: DataSet, tmp_path: Path
) -> None:
    record, weights = done(supernet, arch, digits, tmp_path)
    before = evaluate_arch(supernet, digits, arch, "test")
    change = record.change
    assert (change.before.value, change.before.standard_error) == (before.value, before.standard_error)
    assert (change.n, change.split, record.classifier) == (len(digits.test), "test", "kept")
    assert change.difference == pytest.approx(change.after.value - change.before.value)

    tuned = finetuned_supernet(
        supernet.manifest, FineTuneRecord.model_validate_json(record.model_dump_json())
    )
    net = finetuned_net(tuned, arch, load(weights))
    images = finetuned_data(record, digits, supernet.task)
    dimensions = tuned.family.dimensions(arch)
    (inputs,) = tuned.task.prepare(digits.test.images, images.preprocessing(), dimensions)
    with torch.inference_mode():
        right = net(inputs).argmax(1) == digits.test.labels
    assert float(right.double().mean()) == pytest.approx(change.after.value)
    assert tuned.manifest.weights_sha256 == record.weights_sha256 != supernet.manifest.weights_sha256
    assert record.stage.steps == record.stage.passes == SHORT.steps
    assert record.stage.source is not None
    assert record.stage.source.sha256 == supernet.manifest.weights_sha256


def test_an_interrupted_fine_tune_ends_with_the_same_bytes(
    supernet: Supernet, arch: Arch, digits: DataSet, tmp_path: Path
) -> None:
    whole = done(supernet, arch, digits, tmp_path / "whole")[1]
    finetune = plan_finetune(supernet, arch, digits, SHORT, 3)
    trained(finetune, tmp_path / "parts", until=2)
    assert finish_finetune(finetune, trained(finetune, tmp_path / "parts"))[1] == whole


def test_other_classes_get_a_new_classifier_on_the_old_layers(
    supernet: Supernet, arch: Arch, shades: DataSet, tmp_path: Path
) -> None:
    finetune = plan_finetune(supernet, arch, shades, Recipe.read("finetune").with_steps(40), 3)
    assert finetune.classifier == "new"
    begun, own = start(finetune.plan).net.state_dict(), supernet.net.state_dict()
    changed = {name for name in own if not torch.equal(begun[name], own[name])}
    assert changed and all(begun[name].shape[0] == 3 for name in changed)

    record, weights = finish_finetune(finetune, trained(finetune, tmp_path))
    assert record.classes == ["dark", "light", "middle"] and record.change.after.value > 0.9
    assert record.preprocessing["mean"] == supernet.manifest.preprocessing["mean"]
    tuned = finetuned_supernet(supernet.manifest, record)
    assert tuned.manifest.classes == record.classes
    assert finetuned_net(tuned, arch, load(weights))(torch.zeros(2, 1, 32, 32)).shape == (2, 3)


def test_the_recipe_has_the_space_of_the_subnet_alone(supernet: Supernet) -> None:
    for arch in (supernet.space.min(), supernet.space.max()):
        only = narrowed(SHORT, arch).space.of(supernet.space)
        assert (only.size(), only.min(), only.max()) == (1, arch, arch)


def test_images_of_other_channels_and_splits_are_refused(
    supernet: Supernet, arch: Arch, digits: DataSet, shades: DataSet, tmp_path: Path
) -> None:
    colour = load_data(f"{shades.name},channels=3")
    with pytest.raises(DataError, match="must have the 1 channels of 'digits'.*channels=1"):
        plan_finetune(supernet, arch, colour, SHORT, 0)
    record, weights = done(supernet, arch, digits, tmp_path)
    with pytest.raises(DataError, match="train split .* of the fine-tune"):
        finetuned_data(record, shades, supernet.task)
    with pytest.raises(CheckpointError, match="do not fit the subnet"):
        finetuned_net(finetuned_supernet(supernet.manifest, record), supernet.space.max(), load(weights))


def test_classes_of_imagenet_keep_their_outputs(supernet: Supernet, digits: DataSet, shades: DataSet) -> None:
    task, own = supernet.task, supernet.manifest
    data = own.data.model_copy(update={"outputs": [7, *range(1, 10)], "splits": own.data.splits})
    released = own.model_copy(update={"data": data, "classes": list(imagenet.class_names())})
    assert known_outputs(task, released, digits) == (7, *range(1, 10))  # its own images
    assert known_outputs(task, released, shades) is None
    wnids = imagenet.wordnet_ids()

    class Named:
        classes = (wnids[5], wnids[2])

        def describe(self) -> dict[str, object]:
            return shades.describe()

    assert known_outputs(task, released, Named()) == (5, 2)  # type: ignore[arg-type]
    assert known_outputs(task, own, Named()) is None  # type: ignore[arg-type]
