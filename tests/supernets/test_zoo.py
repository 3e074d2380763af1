"""Every supernet of the zoo: complete, what its own files say, small, and listed."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from supernets import FAMILIES
from supernets.checkpoints import load_supernet
from supernets.recipes.recipe import Recipe
from supernets.training.finish import report_text
from supernets.training.further import read_source

ZOO = Path(__file__).parents[2] / "zoo"
NAMES = sorted(path.parent.name for path in ZOO.glob("*/manifest.json"))
MAX_BYTES = 8_000_000


@pytest.mark.parametrize("name", NAMES)
def test_a_supernet_of_the_zoo_is_what_its_files_say(name: str) -> None:
    folder = ZOO / name
    supernet = load_supernet(folder)  # refuses weights with another hash than the manifest's
    manifest = supernet.manifest
    config = tomllib.loads((folder / "family.toml").read_text())
    family = FAMILIES.load(config.pop("family")).from_config(config)
    assert (manifest.name, manifest.family) == (name, family.name) and manifest.config == family.config()
    recipes = [Recipe.read(path).sha256 for path in sorted(folder.glob("recipe*.toml"))]
    assert recipes == [stage.recipe["sha256"] for stage in manifest.training.stages]
    text = (folder / "report.md").read_text()
    assert text == report_text(manifest)
    for word in text.split("](")[1:]:
        assert (folder / word.split(")")[0]).is_file()
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= MAX_BYTES


@pytest.mark.parametrize("name", NAMES)
def test_a_supernet_of_the_zoo_can_be_trained_further(name: str) -> None:
    source, manifest = read_source(ZOO / name), load_supernet(ZOO / name).manifest
    assert list(source.stages) == manifest.training.stages
    assert any(key.startswith("optimizer.") for key in source.tensors)
    assert len(source.metrics) > 10


def test_the_page_lists_every_supernet() -> None:
    page = (ZOO / "README.md").read_text()
    assert [name for name in NAMES if f"[{name}]({name}/report.md)" not in page] == []


def test_the_recipe_of_minilm_intents_is_the_built_in_one_with_the_table_of_words_frozen() -> None:
    made = Recipe.read(ZOO / "minilm_intents" / "recipe.toml")
    assert made == Recipe.parse({**Recipe.read("elastic_finetune").as_json(), "frozen": ["words."]})
