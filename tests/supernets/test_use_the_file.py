"""What an exported file says of its preprocessing is enough to make its inputs without Netwright."""

from __future__ import annotations

import inspect
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from supernets.checkpoints import load_supernet
from supernets.data import load_data, look_at
from supernets.evaluate import calibrated
from supernets.export.metadata import read_metadata
from supernets.export.subnet import FileRequest, write_subnet
from supernets.extract import extract
from tests.small import TASK

ROOT = Path(__file__).parents[2]
EXAMPLE = runpy.run_path(str(ROOT / "examples" / "02_use_the_file.py"))


def test_the_page_shows_the_code_of_the_example() -> None:
    page = (ROOT / "docs" / "use-the-exported-file.md").read_text(encoding="utf-8")
    for name in ("pixels", "classify"):
        assert inspect.getsource(EXAMPLE[name]) in page


def test_an_exported_file_classifies_a_picture(tmp_path: Path) -> None:
    supernet, data = load_supernet(ROOT / "zoo" / "digits"), load_data("digits")
    arch = supernet.space.max()
    stats = calibrated(supernet, data, arch)
    net = extract(supernet.net, arch, stats)
    written = write_subnet(supernet, data, arch, net, stats.sha256, FileRequest(), tmp_path, None)
    dimensions = supernet.family.dimensions(arch)
    how = read_metadata(written.path)["preprocessing"]
    for index in range(20):
        picture = tmp_path / f"{index}.png"
        Image.fromarray(data.test.images[index, 0].numpy()).save(picture)
        (wanted,) = TASK.prepare(data.test.images[index : index + 1], data.preprocessing(), dimensions)
        assert np.abs(EXAMPLE["pixels"](str(picture), how) - wanted.numpy()).max() <= 1 / 255 / min(data.std)
        name = data.classes[int(net(wanted)[0].argmax())]
        assert EXAMPLE["classify"](str(written.path), str(picture)) == name


RNG = np.random.default_rng(0)


def noise(*shape: int, high: int = 256) -> NDArray[np.int64]:
    return RNG.integers(0, high, shape)


def rotated(path: Path) -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    Image.fromarray(noise(40, 30, 3).astype(np.uint8)).save(path.with_suffix(".jpg"), exif=exif)


def palette(path: Path) -> None:
    image = Image.fromarray(noise(24, 24, 3).astype(np.uint8)).quantize(16)
    image.save(path.with_suffix(".png"), transparency=3)


FORMS: dict[str, tuple[Callable[[Path], None], str]] = {
    "12 bits": (
        lambda path: Image.fromarray(noise(20, 30, high=4096).astype(np.uint16)).save(
            path.with_suffix(".png")
        ),
        ",fit=pad",
    ),
    "floats with a range": (
        lambda path: Image.fromarray((noise(20, 30) * 8.0 - 1024).astype(np.float32)).save(
            path.with_suffix(".tif")
        ),
        ",range=-1000..800,fit=squeeze",
    ),
    "transparent": (
        lambda path: Image.fromarray(noise(20, 30, 4).astype(np.uint8)).save(path.with_suffix(".png")),
        ",fit=squeeze",
    ),
    "palette": (palette, ",resolution=20"),
    "rotated": (rotated, ",resolution=20"),
    "colour as grey": (
        lambda path: Image.fromarray(noise(21, 30, 3).astype(np.uint8)).save(path.with_suffix(".png")),
        ",channels=1",
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_metadata_make_the_same_inputs_as_training(form: str, tmp_path: Path) -> None:
    write, options = FORMS[form]
    for label in range(2):
        (tmp_path / f"c{label}").mkdir()
        for index in range(50):
            write(tmp_path / f"c{label}" / f"{index:02}")
    spec = f"folder:{tmp_path}{options}"
    data, look = load_data(spec), look_at(spec)
    files = sorted((tmp_path / "c0").iterdir())
    base = data.base_resolution
    for side, steps in ((base, 0.01), (base // 2, 1.01)):
        sizes = {"channels": data.channels, "height": side, "width": side, "outputs": 2}
        how: dict[str, Any] = {**data.preprocessing(), **sizes}
        (wanted,) = TASK.prepare(look.piles["train"].images[:10], how, sizes)
        got = np.concatenate([EXAMPLE["pixels"](str(path), how) for path in files[:10]])
        assert np.abs(got - wanted.numpy()).max() <= steps / 255 / min(data.std)
