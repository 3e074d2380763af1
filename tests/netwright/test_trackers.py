"""Trainings and fronts in trackers: by the real packages where they are installed, and what is said where not."""

from __future__ import annotations

import importlib.util
import json
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from netwright import Client
from netwright.cli import app
from netwright.client.jobs import Event
from netwright.errors import NetwrightError
from netwright.trackers import TRACKERS, log_front, log_training, open_tracker, training_values
from tests.netwright.house import House

ROOT = Path(__file__).parents[2]
METRICS = {"step": 7, "epoch": 0.5, "losses": {"max": 2.0}, "quality": {"largest": 0.5}, "metric": "accuracy"}
VALUES = {"loss/max": 2.0, "accuracy/largest": 0.5, "epoch": 0.5}


class Kept:
    """A tracker that keeps what it was called with."""

    def __init__(self) -> None:
        self.found: dict[str, object] = {}
        self.steps: dict[int, dict[str, float]] = {}

    def parameters(self, values: Mapping[str, object]) -> None:
        self.found |= values

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        self.steps[step] = dict(values)

    def close(self) -> None:
        """Nothing to end."""


def scalars(folder: Path) -> dict[tuple[str, int], float]:
    """Scalars in the event files of TensorBoard: records of length, checksum, message, checksum."""
    from tensorboardX.proto.event_pb2 import Event as Record

    found = {}
    for path in folder.rglob("events.out.tfevents.*"):
        content, at = path.read_bytes(), 0
        while at < len(content):
            (length,) = struct.unpack_from("<Q", content, at)
            record = Record.FromString(content[at + 12 : at + 12 + length])
            at += 16 + length
            for value in record.summary.value:
                if value.HasField("simple_value"):
                    found[value.tag, record.step] = value.simple_value
    return found


def test_the_progress_of_a_training_is_logged_at_its_steps() -> None:
    events = [
        Event(1, "state", {"state": "running"}),
        Event(2, "progress", {"done": 7, "metrics": METRICS}),
        Event(3, "progress", {"done": 8, "message": "report card"}),
    ]
    tracker = Kept()
    log_training(tracker, events)
    assert tracker.steps == {7: VALUES} and training_values(METRICS) == VALUES


def test_a_front_is_logged_point_by_point(client: Client, ids: dict[str, str]) -> None:
    front, tracker = client.fronts.of_search(ids["search"]), Kept()
    log_front(tracker, front)
    assert list(tracker.steps) == list(range(len(front)))
    for point, values in zip(front, tracker.steps.values(), strict=True):
        assert values["latency_ms@cpu"] == point.value("latency_ms")
        assert values["macs"] == point.costs["macs"]
        assert all(type(value) in (int, float) for value in values.values())
    assert tracker.found["subnet 0"] == front[0].id and tracker.found["points"] == len(front)


def test_an_unknown_tracker_is_answered_with_the_nearest() -> None:
    with pytest.raises(
        NetwrightError, match="one of tensorboard, mlflow, wandb, got 'tensorbord'; did you mean"
    ):
        with open_tracker("tensorbord:runs", "a"):
            pass


@pytest.mark.parametrize(
    ("kind", "package"), [("tensorboard", "tensorboardX"), ("mlflow", "mlflow"), ("wandb", "wandb")]
)
def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch, kind: str, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, TRACKERS[kind].partition(":")[0], raising=False)
    with pytest.raises(NetwrightError, match=rf"needs the package .*netwright\[{kind}\]"):
        with open_tracker(kind, "a"):
            pass


def test_tensorboard_gets_a_local_training(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    line = (
        f"train random --out {tmp_path}/mine --family {ROOT}/zoo/digits/family.toml --data digits --steps 3"
    )
    result = CliRunner().invoke(app, [*line.split(), "--log", f"tensorboard:{tmp_path}/runs"])
    assert result.exit_code == 0, result.output
    lines = [
        json.loads(each)
        for each in (tmp_path / "mine" / "training" / "metrics.jsonl").read_text().splitlines()
    ]
    found = scalars(tmp_path / "runs" / "mine")
    for role, loss in lines[-1]["losses"].items():
        assert found[f"loss/{role}", 3] == pytest.approx(loss, rel=1e-6)
    assert found["accuracy/largest", 3] == pytest.approx(lines[-1]["quality"]["largest"], rel=1e-6)


def test_tensorboard_gets_a_front(house: House, ids: dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    line = ["front", "show", ids["search"], "--log", f"tensorboard:{tmp_path}"]
    assert CliRunner().invoke(app, line).exit_code == 0
    best = house.client().fronts.of_search(ids["search"])[0]
    assert scalars(tmp_path / ids["search"])["latency_ms_cpu", 0] == pytest.approx(
        best.value("latency_ms"), rel=1e-6
    )


@pytest.mark.filterwarnings("ignore")
def test_mlflow_gets_metrics_and_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = (tmp_path / "store").as_uri()
    with open_tracker(f"mlflow:{uri}", "a run") as tracker:
        tracker.parameters({"recipe": "random"})
        tracker.metrics(3, {"latency_ms@cpu": 1.5})
        tracker.metrics(4, {"latency_ms@cpu": 1.25})
    client = mlflow.MlflowClient(uri)
    [run] = client.search_runs([client.get_experiment_by_name("netwright").experiment_id])
    assert (run.info.run_name, run.info.status) == ("a run", "FINISHED")
    assert run.data.params == {"recipe": "random"}
    kept = client.get_metric_history(run.info.run_id, "latency_ms.cpu")
    assert [(row.step, row.value) for row in kept] == [(3, 1.5), (4, 1.25)]


class Run:
    """The edge to Weights & Biases, which has no other reader than its service."""

    def __init__(self) -> None:
        self.config: dict[str, Any] = {}
        self.rows: list[tuple[int, dict[str, float]]] = []
        self.ended = False

    def log(self, values: dict[str, float], step: int) -> None:
        self.rows.append((step, values))

    def finish(self) -> None:
        self.ended = True


class Config(dict[str, Any]):
    """Takes the option that the real one takes."""

    def update(self, values: dict[str, Any], allow_val_change: bool = False) -> None:  # type: ignore[override]
        assert allow_val_change
        super().update(values)


def test_wandb_gets_metrics_and_config(monkeypatch: pytest.MonkeyPatch) -> None:
    run, asked = Run(), {}
    run.config = Config()
    fake = SimpleNamespace(init=lambda **options: asked.update(options) or run)
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.delitem(sys.modules, "netwright.trackers.wandb", raising=False)
    with open_tracker("wandb:mine", "a run") as tracker:
        tracker.parameters({"recipe": "random"})
        tracker.metrics(3, {"lr": 0.1})
    del sys.modules["netwright.trackers.wandb"]  # it holds the fake
    assert asked == {"project": "mine", "name": "a run"}
    assert run.config == {"recipe": "random"} and run.rows == [(3, {"lr": 0.1})] and run.ended


def test_wandb_offline_writes_a_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if importlib.util.find_spec("wandb") is None:
        pytest.skip("wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    with open_tracker("wandb:mine", "a run") as tracker:
        tracker.metrics(3, {"lr": 0.1})
    assert list(tmp_path.rglob("*.wandb"))
