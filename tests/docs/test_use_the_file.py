"""The example that uses an exported file prepares a picture as the training did."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from supernets import TASKS
from supernets.data import load_data

EXAMPLE = Path(__file__).parents[2] / "examples" / "02_use_the_file.py"
SMOOTH = np.linspace(0, 255, 60).astype(np.uint8)


@pytest.mark.parametrize("fit", ["crop", "squeeze", "pad"])
def test_pixels_are_those_of_the_training(tmp_path: Path, fit: str) -> None:
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(60):
            colour = rng.integers(0, 256, 3)
            slope = (SMOOTH[None, :, None] * (colour / 255)).astype(np.uint8)
            Image.fromarray(np.repeat(slope, 30, axis=0)).save(tmp_path / name / f"{number}.png")
    data = load_data(f"folder:{tmp_path},resolution=32,fit={fit}")
    task = TASKS.load("image_classification")()
    sizes = {"height": 24, "width": 24, "channels": 3}
    expected = task.prepare(data.test.images, data.preprocessing(), sizes)[0].numpy()
    how = {**data.preprocessing(), **sizes}
    pixels = runpy.run_path(str(EXAMPLE))["pixels"]
    got = np.concatenate([pixels(path, how) for path in sorted(tmp_path.glob("*/*.png"))])
    apart = np.abs(got[:, None] - expected[None]).max(axis=(2, 3, 4)).min(axis=0)
    steps = 2 / 255 / min(data.std)  # the example rounds to 8 bits twice
    assert apart.shape == (len(expected),)
    assert apart.max() <= steps
