"""The page on sizes: its family files fit the sizes that they are for, and its commands run as they stand."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from supernets import FAMILIES
from supernets.families.family import Family
from tests.docs.pages import Shell, blocks, surroundings
from tests.service.conftest import ROOT

PAGE = ROOT / "docs" / "choose-sizes.md"
FILES = ("small.toml", "medium.toml", "large.toml")
PHOTOS = 60


def draw(folder: Path) -> None:
    """Large photos of two classes, of different sizes."""
    rng = np.random.default_rng(0)
    for kind, colour in (("red", (200, 30, 30)), ("blue", (30, 30, 200))):
        (folder / kind).mkdir(parents=True)
        for number in range(PHOTOS):
            pixels = rng.integers(0, 40, (8, 8, 3), dtype=np.uint8) + np.array(colour, dtype=np.uint8)
            side = 460 + number
            Image.fromarray(pixels).resize((side + 20, side)).save(folder / kind / f"{number}.jpg")


def families() -> dict[str, Family]:
    found = {}
    for name, block in zip(FILES, [b for b in blocks(PAGE) if b.language == "toml"], strict=True):
        values = tomllib.loads(block.text)
        found[name] = FAMILIES.load(values.pop("family")).from_config(values)
    return found


@pytest.mark.parametrize(("name", "side"), list(zip(FILES, (32, 96, 224), strict=True)))
def test_a_family_reads_its_size_and_has_the_costs_of_the_page(name: str, side: int) -> None:
    family = families()[name]
    space = family.space()
    assert family.dimensions(space.max())["height"] == side
    low, high = family.costs(space.encode([space.min(), space.max()]))["macs"] / 1e6
    words = re.search(rf"Subnets have (\S+) to (\S+) million MACs\.[^`]*`{name}`", PAGE.read_text())
    assert words is not None
    assert (f"{low:.2g}", f"{high:.0f}") == (words[1], words[2])


@pytest.mark.timeout(600)
def test_the_commands_of_the_page(tmp_path: Path) -> None:
    draw(tmp_path / "photos")
    files = iter(FILES)
    said = []
    with Shell(tmp_path, surroundings(Path(sys.executable).parent)) as shell:
        for block in blocks(PAGE):
            if block.language == "toml":
                (tmp_path / next(files)).write_text(block.text)
            else:
                said.append(shell.run(block.text))
    assert "[shrunk]" in said[0] and "[stored_larger]" in said[0]
    assert all("[shrunk]" not in each and "[stored_" not in each for each in said[1:])
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in ("small.png", "large.png"))
    assert "MACs" in said[2]
