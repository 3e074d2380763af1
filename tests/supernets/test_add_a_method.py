"""The page "Add a training part" followed literally: its sampler, its line, its recipe make a tenth method."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

import supernets.recipes.recipe as recipes
from supernets import SAMPLERS
from supernets.data import load_data
from supernets.recipes.recipe import Recipe, built_in
from supernets.registry import Registry
from tests.small import small_family, train

PAGE = (Path(__file__).parents[2] / "docs" / "add-a-training-part.md").read_text()


def block(name: str) -> str:
    found = re.search(rf"<!-- {name} -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found.group(1)


def test_the_page_followed_literally_makes_a_tenth_method(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = re.search(r'`"(small)": "([\w.]+):(\w+)"`', PAGE)
    assert line is not None
    name, path, attribute = line.groups()
    module = ModuleType(path)
    exec(block("sampler"), vars(module))
    monkeypatch.setitem(sys.modules, path, module)
    monkeypatch.setattr(recipes, "SAMPLERS", Registry("sampler", {**SAMPLERS, name: f"{path}:{attribute}"}))
    (tmp_path / "small.toml").write_text(block("recipe"))
    made = Recipe.read(tmp_path / "small.toml")
    data = load_data("digits")
    whole = train(made, small_family(), data, tmp_path / "whole", evaluate_every=100)
    train(made, small_family(), data, tmp_path / "parts", until_step=2, evaluate_every=100)
    parts = train(made, small_family(), data, tmp_path / "parts", evaluate_every=100)
    assert whole.passes == parts.passes == 8
    state = whole.net.state_dict()
    assert all((state[key] == value).all() for key, value in parts.net.state_dict().items())


def test_the_page_lists_every_recipe() -> None:
    assert all(f"| `{name}` |" in PAGE for name in built_in())
