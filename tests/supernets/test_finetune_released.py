"""A subnet of a released supernet is trained further: its classes keep their outputs, and only its weights change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load

from supernets.checkpoints import load_official
from supernets.data import load_data
from supernets.official import imagenet
from supernets.official.nets import shapes_of
from supernets.recipes.recipe import Recipe
from supernets.training.finetune import finetuned_net, finetuned_supernet, finish_finetune, plan_finetune
from supernets.training.loop import RunOptions, train
from tests.supernets.official_files import generated, save

KIND = "ofa_mbv3_d234_e346_k357_w1.0"
CHOSEN = (2, 5)


@pytest.mark.parametrize(("names", "outputs"), [("wordnet", 1000), ("own", 2)])
def test_a_subnet_of_a_released_file_is_trained_further(names: str, outputs: int, tmp_path: Path) -> None:
    supernet = load_official(KIND, save(tmp_path / "weights", generated(shapes_of(KIND))))
    random, wnids = np.random.default_rng(0), imagenet.wordnet_ids()
    for split in ("train", "val", "test"):
        for index in CHOSEN:
            folder = tmp_path / "images" / split / (wnids[index] if names == "wordnet" else f"own{index}")
            folder.mkdir(parents=True)
            for number in range(10):
                pixels = random.integers(0, 60 + 30 * index, (40, 40, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{split}{number}.png")
    data = load_data(f"folder:{tmp_path / 'images'},channels=3,resolution=146")
    recipe = Recipe.read("finetune").with_steps(2).model_copy(update={"batch_size": 8})
    arch = supernet.space.min()
    finetune = plan_finetune(supernet, arch, data, recipe, 3)
    assert finetune.classifier == ("kept" if outputs == 1000 else "new")
    out = tmp_path / "out"
    record, weights = finish_finetune(finetune, train(finetune.plan, out, RunOptions(evaluate_every=1000)))
    assert (record.change.n, record.change.split, record.stage.steps) == (20, "test", 2)
    assert record.preprocessing["mean"] == list(imagenet.MEAN) and record.preprocessing["crop"] == 0.875

    tuned = finetuned_supernet(supernet.manifest, record)
    net = finetuned_net(tuned, arch, load(weights))
    assert len(tuned.manifest.classes) == outputs
    stored = data.test.images
    (inputs,) = tuned.task.prepare(stored, record.preprocessing, tuned.family.dimensions(arch))
    with torch.inference_mode():
        chosen = net(inputs).argmax(1)
    labels = data.test.labels if outputs == 2 else torch.tensor(CHOSEN)[data.test.labels]
    assert float((chosen == labels).double().mean()) == pytest.approx(record.change.after.value)
