"""Two real processes train what one would; a killed training goes on as if nothing had been."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from supernets.data import load_data
from supernets.errors import TrainingError
from supernets.recipes.recipe import Recipe
from supernets.training.loop import METRICS_FILE, STATE_INFO, restore, train_step
from supernets.training.steps.processes import Processes
from tests.small import SMALL, small_family, start, train

ROOT = Path(__file__).parents[2]


def recipe(name: str, **changes: object) -> Recipe:
    values = {**Recipe.read(name).as_json(), "steps": 6, "batch_size": 16, "schedule": {"warmup_steps": 0}}
    return Recipe.parse({**values, **changes})


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


def test_two_processes_train_what_one_would(tmp_path: Path) -> None:
    recipes = {
        "sandwich": recipe("sandwich"),
        "masked": recipe("sandwich", hooks=[{"kind": "masked"}]),
        "attentive": recipe("attentive"),
    }
    (tmp_path / "recipes.json").write_text(json.dumps({k: r.as_json() for k, r in recipes.items()}))
    data, family = load_data("digits"), small_family()
    train(recipes["sandwich"], family, data, tmp_path / "run", until_step=2, evaluate_every=100)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    worker = str(ROOT / "tests" / "supernets" / "ddp_worker.py")
    done = subprocess.run(
        [*command, worker, str(tmp_path)],
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    ranks = [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in range(2)]
    assert ranks[0] == ranks[1]
    for name, made in recipes.items():
        alone = start(made, family, data, seed=0)
        for step, losses in enumerate(ranks[0][name]["losses"]):
            for role, value in train_step(alone).items():
                assert losses[role] == pytest.approx(value, rel=1e-5 if step == 0 else 1e-3), (
                    name,
                    step,
                    role,
                )
        total = sum(float(p.detach().double().abs().sum()) for p in alone.net.parameters())
        assert ranks[0][name]["weights"] == pytest.approx(total, rel=1e-4)
    assert ranks[0]["sandwich"]["exchanges"] == 2  # once a step, not once an item
    assert ranks[0]["masked"]["exchanges"] == 0  # gradients taken apart are averaged by themselves
    lines = [json.loads(line) for line in (tmp_path / "run" / METRICS_FILE).read_text().splitlines()]
    alone = train(recipes["sandwich"], family, data, tmp_path / "one", until_step=2, evaluate_every=100)
    for role, value in train_step(alone).items():
        assert lines[-1]["losses"][role] == pytest.approx(value, abs=1e-5)


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(TrainingError, match="multiple of the 3 processes, got 16"):
        start(recipe("sandwich"), small_family(), load_data("digits"), 0, processes=Processes(0, 3))


def toml(config: dict[str, object]) -> str:
    plain = {k: v for k, v in config.items() if k not in ("stages", "num_classes", "image_channels")}
    lines = ['family = "mobilenet_v3"', *(f"{key} = {json.dumps(value)}" for key, value in plain.items())]
    for stage in config["stages"]:
        lines += ["[[stages]]", *(f"{key} = {json.dumps(value)}" for key, value in stage.items())]
    return "\n".join(lines)


def test_a_killed_training_resumes_bit_for_bit(tmp_path: Path) -> None:
    (tmp_path / "family.toml").write_text(toml(SMALL))
    out = tmp_path / "killed"
    command = [
        sys.executable,
        "-m",
        "supernets.training.launch",
        "sandwich",
        "--family",
        str(tmp_path / "family.toml"),
    ]
    command += ["--data", "digits", "--out", str(out), "--steps", "100000", "--checkpoint-every", "2"]
    process = subprocess.Popen(command, env=environment(), cwd=ROOT, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 250
    while not (out / STATE_INFO).is_file() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    step = json.loads((out / STATE_INFO).read_text())["step"]
    made = Recipe.parse({**Recipe.read("sandwich").as_json(), "steps": 100000})
    data = load_data("digits")
    killed, straight = (start(made, small_family(), data, seed=0) for _ in range(2))
    restore(killed, out)
    for _ in range(step):
        train_step(straight)
    for _ in range(2):
        assert train_step(killed) == train_step(straight)
    assert all(
        torch.equal(value, straight.net.state_dict()[name]) for name, value in killed.net.state_dict().items()
    )
