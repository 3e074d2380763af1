"""A new stage begins where an earlier training ended, with a recipe, schedule and seed of its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from supernets.checkpoints import Manifest
from supernets.data import DataSet, load_data
from supernets.errors import CheckpointError, DataError
from supernets.recipes.recipe import Recipe
from supernets.records import DataRecord
from supernets.training.finish import finish
from supernets.training.further import go_on, read_source
from supernets.training.loop import METRICS_FILE, Training, learning_rate, train_step
from tests.small import small_family, start, train


@pytest.fixture(scope="module")
def data() -> DataSet:
    return load_data("digits")


def recipe(name: str = "sandwich", **changes: object) -> Recipe:
    values = {**Recipe.read(name).as_json(), "steps": 4, "batch_size": 8, "schedule": {}, "ema_decay": 0.5}
    return Recipe.parse({**values, **changes})


@pytest.fixture(scope="module")
def first(data: DataSet, tmp_path_factory: pytest.TempPathFactory) -> tuple[Training, Path]:
    """A training of one stage, finished into a supernet; its state lies in ``training``."""
    out = tmp_path_factory.mktemp("first") / "one"
    training = train(recipe(), small_family(), data, out / "training", evaluate_every=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("supernets.report_card.card.RANDOM", 4)
        patch.setattr("supernets.report_card.card.PANEL", 3)
        finish(training, "one", out / "training", out)
    return training, out


def equal(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    return all(torch.equal(p, q) for p, q in zip(one.parameters(), other.parameters(), strict=True))


def begun(source: Path, data: DataSet, made: Recipe, seed: int = 1, **options: bool) -> Training:
    training = start(made, small_family(), data, seed)
    go_on(training, read_source(source), **options)
    return training


def test_a_stage_begins_with_the_weights_and_its_own_counter_and_schedule(
    data: DataSet, first: tuple[Training, Path]
) -> None:
    before, out = first
    longer = recipe(steps=50, optimizer={"lr": 0.3}, schedule={"warmup_steps": 10})
    stage = begun(out, data, longer)
    assert stage.step == stage.passes == 0 and stage.stage == 2
    assert equal(stage.net, before.net) and equal(stage.shard.average, before.shard.average)
    assert not stage.shard.momenta()
    train_step(stage)
    assert stage.optimizer.param_groups[0]["lr"] == learning_rate(longer, 0) == pytest.approx(0.03)


def test_momentum_is_taken_over_on_request_only(data: DataSet, first: tuple[Training, Path]) -> None:
    before, out = first
    stage = begun(out, data, recipe(), momentum=True)
    known, momenta = before.shard.momenta(), stage.shard.momenta()
    assert momenta.keys() == known.keys() and momenta
    assert all(torch.equal(value, known[name]) for name, value in momenta.items())
    assert stage.source.carried == ["weights", "average", "momentum"]


def test_without_an_average_of_its_own_a_stage_begins_at_the_old_average(
    data: DataSet, first: tuple[Training, Path]
) -> None:
    before, out = first
    stage = begun(out, data, recipe(ema_decay=None))
    assert equal(stage.net, before.shard.average) and not equal(stage.net, before.net)


def test_weights_alone_are_enough_but_have_no_momentum(
    data: DataSet, first: tuple[Training, Path], tmp_path: Path
) -> None:
    before, out = first
    shutil.copytree(out, tmp_path / "plain")
    shutil.rmtree(tmp_path / "plain" / "training")
    stage = begun(tmp_path / "plain", data, recipe())
    assert equal(stage.net, before.result) and stage.source.carried == ["weights"]
    assert stage.source.sha256 == Manifest.read(out).weights_sha256
    with pytest.raises(CheckpointError, match="momentum lies in the state"):
        begun(tmp_path / "plain", data, recipe(), momentum=True)


def test_same_seed_same_losses_and_resume_inside_a_stage_equals_uninterrupted(
    data: DataSet, first: tuple[Training, Path], tmp_path: Path
) -> None:
    _, out = first
    made, family = recipe("progressive_shrinking", steps=6, dropout=0.2), small_family()
    runs = [begun(out, data, made) for _ in range(2)]
    assert [train_step(runs[0]) for _ in range(3)] == [train_step(runs[1]) for _ in range(3)]
    assert train_step(begun(out, data, made, seed=2)) != train_step(begun(out, data, made))
    source = read_source(out)
    options = {"seed": 1, "source": source, "momentum": True, "evaluate_every": 3}
    whole = train(made, family, data, tmp_path / "whole", **options)
    train(made, family, data, tmp_path / "parts", until_step=2, **options)
    parts = train(made, family, data, tmp_path / "parts", **options)
    assert equal(whole.net, parts.net) and equal(whole.shard.average, parts.shard.average)
    rows = [json.loads(line) for line in (tmp_path / "parts" / METRICS_FILE).read_text().splitlines()]
    assert [(row["stage"], row["step"]) for row in rows] == [(1, 4), (2, 2), (2, 6)]
    with pytest.raises(CheckpointError, match="another source"):
        train(made, family, data, tmp_path / "parts", seed=1)
    with pytest.raises(CheckpointError, match="another source"):
        train(made, family, data, tmp_path / "parts", seed=1, source=source)


def test_the_manifest_lists_every_stage(
    data: DataSet, first: tuple[Training, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supernets.report_card.card.RANDOM", 4)
    monkeypatch.setattr("supernets.report_card.card.PANEL", 3)
    before, out = first
    made = recipe("random", steps=3)
    source = read_source(out)
    training = train(
        made, small_family(), data, tmp_path / "training", seed=5, source=source, evaluate_every=9
    )
    manifest = finish(training, "two", tmp_path / "training", tmp_path)
    one, two = manifest.training.stages
    assert [one.recipe["sha256"], two.recipe["sha256"]] == [before.recipe.sha256, made.sha256]
    assert (one.steps, one.passes, one.seed, one.source) == (4, 16, 0, None)
    assert (two.steps, two.passes, two.seed) == (3, 3, 5)
    assert two.source.sha256 == source.sha256
    assert one.data == two.data == DataRecord.model_validate(data.describe())
    assert (manifest.training.steps, manifest.training.billed_passes) == (7, 19)
    assert Manifest.read(tmp_path) == manifest
    again = read_source(tmp_path)
    assert [stage.recipe["name"] for stage in again.stages] == ["sandwich", "random"]
    text = (tmp_path / "report.md").read_text()
    assert "1. sandwich on digits: 4 steps" in text and "2. random on digits: 3 steps" in text


def test_a_stopped_training_may_be_the_source(data: DataSet, tmp_path: Path) -> None:
    stopped = train(recipe(), small_family(), data, tmp_path, until_step=2, evaluate_every=9)
    stage = begun(tmp_path, data, recipe())
    assert equal(stage.net, stopped.net)
    assert [record.steps for record in stage.earlier] == [2]


def test_another_family_is_refused_with_the_difference(data: DataSet, first: tuple[Training, Path]) -> None:
    _, out = first
    other = start(recipe(), small_family(kernels=[3, 5, 7]), data, 0)
    with pytest.raises(CheckpointError, match=r"kernels is \[3, 5\] there, \[3, 5, 7\] here"):
        go_on(other, read_source(out))


def test_splits_that_would_mix_are_refused(data: DataSet, first: tuple[Training, Path]) -> None:
    from dataclasses import replace

    _, out = first
    with pytest.raises(DataError, match="would mix"):
        begun(out, load_data("digits", seed=1), recipe())
    turned = replace(data, name="mine", train=data.test, test=data.train)
    with pytest.raises(DataError, match="test split is what 'one' was trained on"):
        begun(out, turned, recipe())


def test_a_folder_without_a_training_or_with_two_is_refused(
    first: tuple[Training, Path], data: DataSet, tmp_path: Path
) -> None:
    _, out = first
    with pytest.raises(CheckpointError, match="must be a supernet"):
        read_source(tmp_path)
    shutil.copytree(out, tmp_path / "both")
    train(recipe(), small_family(), data, tmp_path / "other", until_step=2, seed=3, evaluate_every=9)
    shutil.rmtree(tmp_path / "both" / "training")
    shutil.copytree(tmp_path / "other", tmp_path / "both" / "training")
    with pytest.raises(CheckpointError, match="of two trainings"):
        read_source(tmp_path / "both")
    split = recipe(controllers=[{"kind": "gradient_split", "at": [0.5], "repeats": 1, "axes": 1}])
    train(split, small_family(), data, tmp_path / "split", evaluate_every=9)
    with pytest.raises(CheckpointError, match="has 2 networks"):
        read_source(tmp_path / "split")


def test_a_supernet_of_several_networks_is_refused_without_its_state_too(
    first: tuple[Training, Path], tmp_path: Path
) -> None:
    _, out = first
    shutil.copytree(out, tmp_path / "split")
    shutil.rmtree(tmp_path / "split" / "training")
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["shards"] = [{"resolution": [8]}, {"resolution": [16]}]
    (tmp_path / "split" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match="has 2 networks"):
        read_source(tmp_path / "split")
