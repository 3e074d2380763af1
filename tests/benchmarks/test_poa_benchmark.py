"""The benchmark of POA: units that are done once, paired differences."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import poa


def test_arms_differ_in_the_same_view_term_alone() -> None:
    both, cross = (poa.recipe_of(arm, 100, 8).as_json() for arm in (poa.BOTH, poa.CROSS))
    assert both["loss"].pop("same_view") is True and cross["loss"].pop("same_view") is False
    assert (both.pop("name"), cross.pop("name")) == ("poa", "cross_view") and both == cross


def test_units_are_done_once_and_arms_are_compared_seed_by_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--data", "digits,resolution=32", "--json", tmp_path, "--steps", 2, "--batch-size", 8]
    monkeypatch.setattr(sys, "argv", ["poa", *map(str, given), "--seeds", "1"])
    poa.main()
    written = {path.name: path.read_text() for path in tmp_path.glob("*.json")}
    assert set(written) == {f"{arm}-0.json" for arm in poa.ARMS}
    results = {name: json.loads(text) for name, text in written.items()}
    assert results["poa-0.json"]["billed"] == pytest.approx(2 * (2 + 1 / 3), abs=0.01)
    assert results["untrained-0.json"]["steps"] == 0
    capsys.readouterr()
    poa.main()
    assert written == {path.name: path.read_text() for path in tmp_path.glob("*.json")}
    gap = [
        results[f"{arm}-0.json"]["quality"]["knn_accuracy"]["smallest"]["value"]
        for arm in (poa.BOTH, poa.CROSS)
    ]
    found = poa.table(tmp_path)["gaps"]["knn_accuracy"]["smallest"]
    assert found == {"mean": gap[0] - gap[1], "spread": None, "n": 1}
    assert "| poa − cross_view | 1 |" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["poa", *map(str, given), "--seeds", "1", "--steps", "3"])
    with pytest.raises(SystemExit, match="another recipe"):
        poa.main()
