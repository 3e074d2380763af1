"""The loop's edges: what it refuses, what it keeps when it fails."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from supernets.checkpoints import load_supernet
from supernets.data import DataSet, load_data
from supernets.errors import CheckpointError, DataError, TrainingError
from supernets.evaluate import evaluate_arch
from supernets.recipes.recipe import Recipe
from supernets.training.finish import finish
from supernets.training.loop import METRICS_FILE, STATE_INFO, Training, learning_rate, train_step
from tests.small import small_family, start, train


@pytest.fixture(scope="module")
def data() -> DataSet:
    return load_data("digits")


def recipe(**changes: object) -> Recipe:
    values = {**Recipe.read("sandwich").as_json(), "steps": 4, "batch_size": 8, "schedule": {}}
    return Recipe.parse({**values, **changes})


def test_learning_rate_warms_up_then_falls_to_its_floor() -> None:
    made = recipe(steps=100, schedule={"warmup_steps": 10, "floor": 0.1}, optimizer={"lr": 2.0})
    rates = [learning_rate(made, step) for step in range(101)]
    assert rates[:10] == pytest.approx([0.2 * (k + 1) for k in range(10)])
    assert rates[10] == pytest.approx(2.0)
    assert rates[100] == pytest.approx(0.2)
    assert all(a >= b for a, b in zip(rates[10:], rates[11:], strict=False))


def test_a_loss_that_is_not_a_number_stops_at_once_and_keeps_the_checkpoint(
    data: DataSet, tmp_path: Path
) -> None:
    wild = recipe(steps=50, optimizer={"lr": 1e30})
    with pytest.raises(TrainingError, match=r"loss of item 'max'.*at step"):
        train(wild, small_family(), data, tmp_path, checkpoint_every=1, evaluate_every=50)
    # lowered a little, so that a weight breaks in the step before its loss does
    for lr in (1e30, 1e18, 1e10):
        out = tmp_path / str(lr)
        with pytest.raises(TrainingError, match=r"(loss of item|is not finite after step) .*; .*checkpoint"):
            train(
                recipe(steps=50, optimizer={"lr": lr}),
                small_family(),
                data,
                out,
                checkpoint_every=1,
                evaluate_every=99,
            )
        if (out / STATE_INFO).is_file():
            info = json.loads((out / STATE_INFO).read_text())
            assert all(torch.isfinite(value).all() for value in load_file(out / info["file"]).values())


def test_a_state_from_which_nothing_can_go_on_never_replaces_one_that_can(
    data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = recipe(steps=6)
    train(made, small_family(), data, tmp_path, until_step=2)
    kept = sorted(path.name for path in tmp_path.iterdir())

    def break_a_weight(training: Training) -> dict[str, float]:
        losses = train_step(training)
        with torch.no_grad():
            next(training.net.parameters()).fill_(float("inf"))
        return losses

    monkeypatch.setattr("supernets.training.loop.train_step", break_a_weight)
    with pytest.raises(
        TrainingError, match=r"weight '.*' is not finite after step 3.*; the checkpoint of step 2 is kept"
    ):
        train(made, small_family(), data, tmp_path, until_step=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == kept
    monkeypatch.undo()
    assert train(made, small_family(), data, tmp_path).finished


def test_a_training_that_is_asked_to_stop_keeps_the_step_it_is_at(data: DataSet, tmp_path: Path) -> None:
    made = recipe(steps=120)
    whole = train(made, small_family(), data, tmp_path / "whole")
    for asked in (iter([False] * 4 + [True]), iter([False] * 60 + [True]), None):
        stop = None if asked is None else partial(next, asked)
        parts = train(made, small_family(), data, tmp_path / "parts", stop=stop)
    assert [(s.first_step, s.last_step) for s in parts.sittings] == [(0, 5), (5, 66), (66, 120)]
    rows = [
        [
            {key: row[key] for key in ("step", "losses", "passes")}
            for row in map(json.loads, (tmp_path / run / METRICS_FILE).read_text().splitlines())
        ]
        for run in ("whole", "parts")
    ]
    assert rows[0] == rows[1] and [row["step"] for row in rows[0]] == [50, 100, 120]
    for name, value in whole.net.state_dict().items():
        assert torch.equal(value, parts.net.state_dict()[name])


def test_another_recipe_seed_or_space_is_not_resumed(data: DataSet, tmp_path: Path) -> None:
    train(recipe(), small_family(), data, tmp_path, until_step=2)
    with pytest.raises(CheckpointError, match=r"another recipe \(batch_size is 8 there, 16 here\)"):
        train(recipe(batch_size=16), small_family(), data, tmp_path)
    with pytest.raises(CheckpointError, match=r"another seed \(seed is 0 there, 1 here\)"):
        train(recipe(), small_family(), data, tmp_path, seed=1)
    with pytest.raises(CheckpointError, match="another space"):
        train(recipe(), small_family(kernels=[3, 5, 7]), data, tmp_path)


def test_a_truncated_state_is_refused(data: DataSet, tmp_path: Path) -> None:
    train(recipe(), small_family(), data, tmp_path, until_step=2)
    state = next(tmp_path.glob("training-*.safetensors"))
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="not a complete safetensors file"):
        train(recipe(), small_family(), data, tmp_path)


def test_data_that_does_not_fit_is_refused(data: DataSet) -> None:
    with pytest.raises(DataError, match="batch_size"):
        start(recipe(batch_size=5000), small_family(), data, 0)
    with pytest.raises(DataError, match="10 outputs and 1 channels"):
        start(recipe(), small_family(num_classes=7), data, 0)
    with pytest.raises(DataError, match="got 10 outputs and 3 channels"):
        start(recipe(), small_family(image_channels=3), data, 0)


def test_a_finished_training_becomes_a_supernet_directory(
    data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supernets.report_card.card.RANDOM", 4)
    half = train(recipe(), small_family(), data, tmp_path / "run", until_step=2)
    with pytest.raises(TrainingError, match="finished"):
        finish(half, "small", tmp_path / "run", tmp_path / "out")
    done = train(recipe(), small_family(), data, tmp_path / "run")
    seen: list[tuple[int, int]] = []
    manifest = finish(
        done, "small", tmp_path / "run", tmp_path / "out", lambda *step: seen.append(step), licence="MIT"
    )
    assert manifest.licence == "MIT"
    assert seen[-1][0] == seen[-1][1] == len(seen)
    supernet = load_supernet(tmp_path / "out")
    assert supernet.manifest == manifest
    (stage,) = manifest.training.stages
    assert [sitting.last_step for sitting in stage.sittings] == [2, 4]
    smallest = manifest.report["panel"][0]["test"]
    again = evaluate_arch(supernet, data, supernet.space.min(), "test")
    assert (again.value, again.n) == (smallest["value"], 360)
    text = (tmp_path / "out" / "report.md").read_text()
    assert "smallest" in text and "trained alone" not in text and "kendall_alone" not in manifest.report
    assert (tmp_path / "out" / "curve.png").read_bytes().startswith(b"\x89PNG")
    other = replace(data, test=data.validation)
    with pytest.raises(DataError, match="test split"):
        evaluate_arch(supernet, other, supernet.space.min(), "test")


def test_running_statistics_are_those_of_the_largest(data: DataSet, tmp_path: Path) -> None:
    from supernets.evaluate import calibrate
    from supernets.training.finish import settle

    training = train(recipe(), small_family(), data, tmp_path)
    largest = training.family.space().max()
    stats = calibrate(training.net, training.task, data, largest)
    settle(training)
    for name, norm in training.net.norms().items():
        assert torch.equal(norm.running_mean, stats.values[name][0])
        assert torch.equal(norm.running_var, stats.values[name][1])


def test_the_bar_keeps_the_last_accuracies_in_sight(data: DataSet, tmp_path: Path) -> None:
    from netwright.progress import Shown
    from netwright.train_commands import _bar

    shown: list[Shown] = []
    tell = _bar(shown.append, 101)
    made = recipe(steps=101)
    train(made, small_family(), data, tmp_path, until_step=100, evaluate_every=50, progress=tell)
    lines = [each.message for each in shown]
    first = next(k for k, line in enumerate(lines) if "accuracy smallest" in line)
    assert all("accuracy smallest 0." in line and " largest " in line for line in lines[first:])
    for words in ("epoch 0.", "loss max ", " min ", "passes/s"):
        assert all(words in line for line in lines)
    assert shown[-1].done == 100 and shown[0].eta_s > 0
