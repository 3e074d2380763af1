"""The same training on a GPU: near a CPU's losses, exactly its own again, resumed, and shared by two processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from supernets.checkpoints import load_supernet
from supernets.data import DataSet, load_data
from supernets.device import choose, described, exact
from supernets.errors import TrainingError
from supernets.evaluate import evaluate_arch, evaluate_net
from supernets.recipes.recipe import Recipe, built_in
from supernets.training.finish import finish
from supernets.training.loop import METRICS_FILE, STATE_INFO, restore, train_step
from tests.small import SMALL, family_of, short, small_family, start, task_of, train
from tests.supernets.test_processes import ROOT, environment, toml

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


@pytest.fixture(scope="module")
def data() -> DataSet:
    return load_data("digits")


def test_devices_have_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert described(torch.device("cpu")) == "cpu" == choose("cpu").type
    with pytest.raises(TrainingError, match="auto, cpu, cuda, got 'tpu'"):
        choose("tpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose("auto").type == "cpu"
    with pytest.raises(TrainingError, match="sees no GPU; choose cpu"):
        choose("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose("auto").type == choose("cuda").type == "cuda" and choose("cpu").type == "cpu"


def test_convolutions_on_a_gpu_are_exact_and_the_settings_come_back() -> None:
    before = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic
    with exact(torch.device("cuda")):
        assert (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic) == (False, True)
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic) == before


@gpu
@pytest.mark.parametrize("name", built_in())
def test_first_losses_are_those_of_a_cpu_and_all_repeat(name: str, data: DataSet) -> None:
    task = task_of(name)
    cpu = start(short(name), family_of(name), data, seed=3, task=task)
    first, again = (
        start(short(name), family_of(name), data, seed=3, task=task, device="cuda") for _ in range(2)
    )
    losses, expected = train_step(first), train_step(cpu)
    # Which of its two divergences is larger is a matter of rounding while a fresh net's are all near 0.
    roles = ["max"] if name == "alpha_divergence" else list(expected)
    assert [losses[role] for role in roles] == pytest.approx([expected[role] for role in roles], rel=1e-5)
    assert losses == train_step(again)
    for _ in range(4):
        assert train_step(first) == train_step(again)
    state = first.net.state_dict()
    assert all(torch.equal(state[key], value) for key, value in again.net.state_dict().items())


@gpu
@pytest.mark.parametrize("name", built_in())
def test_resumed_equals_uninterrupted(name: str, data: DataSet, tmp_path: Path) -> None:
    recipe, family = short(name, dropout=0.2), family_of(name)
    options = {"evaluate_every": 3, "device": "cuda", "task": task_of(name)}
    whole = train(recipe, family, data, tmp_path / "whole", **options)
    train(recipe, family, data, tmp_path / "parts", until_step=2, **options)
    parts = train(recipe, family, data, tmp_path / "parts", **options)
    state = whole.net.state_dict()
    assert all(torch.equal(state[key], value) for key, value in parts.net.state_dict().items())
    assert {sitting.device for sitting in parts.sittings} == {torch.cuda.get_device_name()}
    moved = start(recipe, family, data, 0, task=task_of(name))
    restore(moved, tmp_path / "parts")
    assert all(torch.equal(state[key].cpu(), value) for key, value in moved.net.state_dict().items())


@gpu
def test_half_precision_is_near_and_faster_convolutions_stay_off(data: DataSet) -> None:
    full, half = (
        start(short("sandwich", precision=precision), small_family(), data, seed=0, device="cuda")
        for precision in ("fp32", "bf16")
    )
    assert train_step(half) == pytest.approx(train_step(full), rel=0.05)


@gpu
def test_accuracies_and_report_card_are_those_of_a_cpu(
    data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supernets.report_card.card.RANDOM", 4)
    done = train(short("random", steps=40), small_family(), data, tmp_path / "run", device="cuda")
    largest = done.space.max()
    there = evaluate_net(done.net, done.task, data, largest, "test")
    manifest = finish(done, "small", tmp_path / "run", tmp_path / "out")
    supernet = load_supernet(tmp_path / "out")
    assert abs(evaluate_arch(supernet, data, largest, "test").value - there.value) <= 2 / len(data.test)
    assert torch.cuda.get_device_name() in (tmp_path / "out" / "report.md").read_text()
    assert manifest.training.stages[0].sittings[0].device == torch.cuda.get_device_name()


def kill_all(marker: str) -> None:
    """SIGKILL every process whose command line holds ``marker``: torchrun's workers have sessions of their own."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if marker in (folder / "cmdline").read_text():
                os.kill(int(folder.name), signal.SIGKILL)


@gpu
@pytest.mark.parametrize("processes", [1, 2])
def test_torchrun_trains_the_same_and_survives_a_kill(processes: int, data: DataSet, tmp_path: Path) -> None:
    """One process has the GPU by NCCL's rules; two share it and talk by gloo."""
    (tmp_path / "family.toml").write_text(toml(SMALL))
    out = tmp_path / "run"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command += ["-m", "supernets.training.launch", "sandwich", "--family", str(tmp_path / "family.toml")]
    command += ["--data", "digits", "--out", str(out), "--device", "cuda", "--checkpoint-every", "2"]
    process = subprocess.Popen(
        [*command, "--steps", "100000"], env=environment(), cwd=ROOT, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while not (out / STATE_INFO).is_file() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    kill_all(str(out))
    process.wait()
    step = json.loads((out / STATE_INFO).read_text())["step"]
    made = Recipe.parse({**Recipe.read("sandwich").as_json(), "steps": 100000})
    killed, straight = (start(made, small_family(), data, seed=0, device="cuda") for _ in range(2))
    restore(killed, out)
    for _ in range(step):
        train_step(straight)
    ours, expected = train_step(killed), train_step(straight)
    assert ours == (expected if processes == 1 else pytest.approx(expected, rel=1e-3))
    again = [*command, "--steps", "100000", "--until-step", str(step + 2)]
    subprocess.run(again, env=environment(), cwd=ROOT, check=True, timeout=120)
    lines = [json.loads(line) for line in (out / METRICS_FILE).read_text().splitlines()]
    assert lines[-1]["step"] == step + 2
