"""Every supernet of the zoo: complete, what its own files say, small, and listed."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from supernets import FAMILIES
from supernets.checkpoints import load_supernet
from supernets.manifest import Manifest
from supernets.metrics import MACS
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


def test_the_card_of_minilm_intents_is_that_of_its_recipe_and_what_the_pages_say() -> None:
    folder = ZOO / "minilm_intents"
    manifest = Manifest.parse(json.loads((folder / "card.json").read_text()))
    assert (manifest.name, manifest.family, manifest.task) == (
        "minilm_intents",
        "bert",
        "text_classification",
    )
    (stage,) = manifest.training.stages
    assert stage.recipe["sha256"] == Recipe.read(folder / "recipe.toml").sha256
    text = (folder / "report.md").read_text()
    assert text == report_text(manifest)
    assert all((folder / word.split(")")[0]).is_file() for word in text.split("](")[1:])
    space, found = manifest.make_family().space(), manifest.report["summary"]["test"]
    ends = [
        manifest.make_family().costs(space.encode([arch]))[MACS][0] / 1e6
        for arch in (space.min(), space.max())
    ]
    values = [
        f"{found[end]['value']:.3f} ± {found[end]['standard_error']:.3f}" for end in ("smallest", "largest")
    ]
    cells = [f"{space.size():.1e}".replace("e+0", "e"), f"{ends[0]:.0f}–{ends[1]:.0f} M", *values]
    cells += [f"{found['panel_mean']:.3f}", f"{manifest.report['random']['spearman_macs_quality']:.2f}"]
    row = f"| [minilm_intents](minilm_intents/report.md) | {' | '.join(cells)} | {stage.steps:,} steps,"
    assert row in (ZOO / "README.md").read_text()
