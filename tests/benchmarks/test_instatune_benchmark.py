"""The benchmark of elastic fine-tuning: equal passes, units that are done once, paired gaps."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import instatune, instatune_table
from benchmarks.training import fitting
from supernets.families.bert import Bert
from supernets.recipes.recipe import RECIPE_DIR, Recipe
from supernets.training.estimate import Rehearsal
from tests.small import small_texts

transformers = pytest.importorskip("transformers")
from tests.pretrained.test_pretrained import BERT, random, write_tokenizer  # noqa: E402


def test_elastic_arms_cost_what_the_nets_alone_cost_together() -> None:
    family = Bert.from_config({"num_classes": 3})
    for name, values in instatune.elastic_arms().items():
        passes = 300 * instatune.SHARES.get(name, 1.0)
        recipe = fitting({**values, "name": name}, family, passes, 8)
        assert 0.97 * passes <= Rehearsal(recipe, family).run().billed <= passes, name


def test_largest_first_is_compared_as_its_recipe_says() -> None:
    family, passes = Bert.from_config({"num_classes": 3}), 3 * 468 * instatune.SHARES["largest_first"]
    made = fitting(instatune.elastic_arms()["largest_first"], family, passes, 32)
    assert made == Recipe.parse({**Recipe.read("largest_first").as_json(), "frozen": instatune.FROZEN})


def test_units_are_done_once_and_compared_with_the_nets_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = {"num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
    folder = tmp_path / "hf"
    random(transformers.BertModel(transformers.BertConfig(**BERT | sizes))).save_pretrained(folder)
    write_tokenizer(folder)
    data, out = small_texts(tmp_path / "texts"), tmp_path / "out"
    mine = tmp_path / "mine.toml"
    mine.write_text((RECIPE_DIR / "random.toml").read_text().replace('name = "random"', 'name = "mine"'))
    arms = ["alone_middle", "instatune", "first_k", "mine"]
    given = ["--folder", folder, "--data", data, "--json", out, "--steps", 3, "--seeds", 1, "--batch-size", 4]
    given += ["--recipe", mine, "--sequence", 8]
    monkeypatch.setattr(sys, "argv", ["instatune", *map(str, given), "--arms", *arms])
    instatune.main()
    written = {path.name: path.read_text() for path in out.glob("*.json")}
    assert set(written) == {f"{arm}-0.json" for arm in arms}
    results = {name: json.loads(text) for name, text in written.items()}
    assert results["instatune-0.json"]["billed"] == 9 and results["alone_middle-0.json"]["billed"] == 3
    capsys.readouterr()
    instatune.main()
    assert written == {path.name: path.read_text() for path in out.glob("*.json")}
    gap = (
        results["instatune-0.json"]["accuracy"]["middle"]
        - results["alone_middle-0.json"]["accuracy"]["middle"]
    )
    found = instatune.table(out)["arms"]
    assert found["instatune"]["minus_alone"]["middle"] == {"mean": gap, "spread": None, "n": 1}
    assert "| instatune | 1 | 9 |" in capsys.readouterr().out
    assert found["mine"]["billed"] == 9
    monkeypatch.setattr(instatune_table, "GROUPS", {"heads": 1, "expand": 2})
    of = instatune.Start.of(out / "work" / "sorted")
    rows = instatune_table.table(of, 10)
    assert rows["ops"].is_unique and rows["ops"].str.len().eq(4).all() and len(rows) == 3**4
    assert rows["accuracy"].between(0, 100).all() and rows["million_macs"].nunique() > 27
    spread = instatune_table.arch_of(of.family, {"depth": 4, "heads0": 8, "expand0": 768, "expand1": 1536})
    assert [spread[f"layer{k}.ffn"] for k in (1, 2, 4, 6)] == [768, 768, 1536, 1536]


def test_a_front_is_monotone_or_the_largest_step_upwards_is_stated() -> None:
    assert instatune._fall({"full": 0.9, "middle": 0.8, "smallest": 0.7}) == 0
    assert instatune._fall({"full": 0.9, "middle": 0.8, "smallest": 0.85}) == pytest.approx(0.05)
    apart = {"full": 0.9, "wide": 0.91, "middle": 0.93}
    assert instatune._fall(apart) == pytest.approx(0.03)
