"""How far a supernet orders nets as training each alone does: the figure, and its place in the report card."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from supernets.data import DataSet, load_data
from supernets.data_facts.report import DataReport, Details
from supernets.elastic.active import ElasticModel
from supernets.elastic.norm import BNStats
from supernets.evaluate import evaluate_net, example_scores
from supernets.manifest import Manifest
from supernets.recipes.recipe import Recipe
from supernets.report_card import card
from supernets.report_card.card import kendall_alone
from supernets.spaces.space import Arch
from supernets.tasks.task import Task
from supernets.training.finish import finish
from tests.small import small_family, train


def test_tau_counts_pairs_in_and_out_of_order() -> None:
    alone = {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4}
    assert kendall_alone(alone, {"d": 0.9, "c": 0.8, "b": 0.7, "a": 0.6, "more": 0.0}) == pytest.approx(1.0)
    assert kendall_alone(alone, {key: -value for key, value in alone.items()}) == pytest.approx(-1.0)
    # one of six pairs is swapped: (5 - 1) / 6
    assert kendall_alone(alone, {"a": 0.1, "b": 0.2, "c": 0.4, "d": 0.3}) == pytest.approx(4 / 6)
    # one pair tied on one side: 5 / sqrt(6 * 5)
    assert kendall_alone(alone, {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.3}) == pytest.approx(5 / math.sqrt(30))


@pytest.mark.parametrize(
    ("alone", "shared"),
    [
        ([], []),
        ([0.1, 0.2], [0.1, 0.2]),
        ([0.1, 0.2, 0.3], [0.5, 0.5, 0.5]),
        ([0.5, 0.5, 0.5], [0.1, 0.2, 0.3]),
        ([0.1, 0.2, 0.3], [0.1, math.nan, 0.3]),
    ],
)
def test_without_an_order_there_is_no_tau(alone: list[float], shared: list[float]) -> None:
    assert kendall_alone(dict(enumerate(alone)), dict(enumerate(shared))) is None


def test_a_net_the_supernet_was_not_asked_about_is_an_error() -> None:
    with pytest.raises(KeyError):
        kendall_alone({"a": 0.1, "b": 0.2, "c": 0.3}, {"a": 0.1, "b": 0.2})


def test_the_card_compares_with_nets_trained_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("supernets.report_card.card.RANDOM", 4)
    monkeypatch.setattr("supernets.report_card.card.PANEL", 3)
    stored = DataReport(resolution=64, details=Details(spec="digits"))
    data = replace(load_data("digits"), report=stored)
    values = {**Recipe.read("sandwich").as_json(), "steps": 4, "batch_size": 8, "schedule": {}}
    done = train(Recipe.parse(values), small_family(), data, tmp_path / "run", evaluate_every=9)
    space = done.family.space()
    rows = np.unique(space.sample(np.random.default_rng(3), 40), axis=0)[:5]
    alone = {arch: 0.9 + 0.01 * k for k, arch in enumerate(space.decode(rows))}
    seen: list[tuple[int, int]] = []
    out = tmp_path / "out"
    manifest = finish(done, "small", tmp_path / "run", out, lambda *step: seen.append(step), alone=alone)
    assert "images are stored at 64 pixels" in (out / "report.md").read_text()
    assert [each["code"] for each in manifest.report["data"]["problems"]] == ["stored_larger"]
    assert stored.problems == []
    shared = {arch: evaluate_net(done.result, done.task, data, arch, "validation").value for arch in alone}
    tau = kendall_alone(alone, shared)
    assert tau is not None and manifest.report["kendall_alone"] == {"n": len(alone), "tau": tau}
    assert [done for done, _ in seen] == list(range(1, seen[-1][1] + 1))
    assert Manifest.read(out) == manifest
    text = f"{len(alone)} nets trained alone: Kendall's tau of their accuracy and the supernet's {tau:.2f}."
    assert text in (out / "report.md").read_text()


def test_a_card_that_was_stopped_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supernets.report_card.card.RANDOM", 4)
    monkeypatch.setattr("supernets.report_card.card.PANEL", 3)
    values = {**Recipe.read("sandwich").as_json(), "steps": 4, "batch_size": 8, "schedule": {}}
    data, run = load_data("digits"), tmp_path / "run"
    done = train(Recipe.parse(values), small_family(), data, run, evaluate_every=9)
    whole = finish(done, "small", run, tmp_path / "whole")
    asked: list[tuple[str, str]] = []

    def stopping(
        net: ElasticModel, task: Task, data: DataSet, arch: Arch, stats: BNStats, split: str
    ) -> Tensor:
        if len(asked) == 5:
            raise KeyboardInterrupt
        asked.append((arch.id, split))
        return example_scores(net, task, data, arch, stats, split)

    monkeypatch.setattr(card, "example_scores", stopping)
    with pytest.raises(KeyboardInterrupt):
        finish(done, "small", run, tmp_path / "parts")
    (folder,) = run.glob("card-*")
    assert {path.name for path in folder.iterdir()} == {f"{arch}-{split}.npy" for arch, split in asked}
    again: list[tuple[str, str]] = []

    def counting(
        net: ElasticModel, task: Task, data: DataSet, arch: Arch, stats: BNStats, split: str
    ) -> Tensor:
        again.append((arch.id, split))
        return example_scores(net, task, data, arch, stats, split)

    monkeypatch.setattr(card, "example_scores", counting)
    parts = finish(done, "small", run, tmp_path / "parts")
    assert parts == whole and not set(again) & set(asked)
    panel_and_random = 2 * len(whole.report["panel"]) + whole.report["random"]["n"]
    assert len(set(asked + again)) == len(asked + again) <= panel_and_random
    assert list(run.glob("card-*")) == []


def test_scores_of_other_data_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training continues with other test examples: the card that was stopped had scores of the earlier ones."""
    monkeypatch.setattr("supernets.report_card.card.RANDOM", 2)
    monkeypatch.setattr("supernets.report_card.card.PANEL", 2)
    values = {**Recipe.read("sandwich").as_json(), "steps": 2, "batch_size": 8, "schedule": {}}
    data, run = load_data("digits"), tmp_path / "run"
    asked: list[str] = []

    def stopping(
        net: ElasticModel, task: Task, data: DataSet, arch: Arch, stats: BNStats, split: str
    ) -> Tensor:
        if len(asked) == 3:
            raise KeyboardInterrupt
        asked.append(split)
        return example_scores(net, task, data, arch, stats, split)

    monkeypatch.setattr(card, "example_scores", stopping)
    with pytest.raises(KeyboardInterrupt):
        finish(train(Recipe.parse(values), small_family(), data, run), "small", run, tmp_path / "first")
    monkeypatch.setattr(card, "example_scores", example_scores)
    other = replace(data, test=replace(data.test, labels=(data.test.labels + 1) % 10))
    done = train(Recipe.parse(values), small_family(), other, run)
    found, fresh = (finish(done, "small", run, tmp_path / name).report for name in ("second", "third"))
    assert found["panel"] == fresh["panel"]
