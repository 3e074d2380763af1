"""`netwright supernets train`, its bar, and the client's part in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from netwright import Client
from netwright.cli import app
from netwright.errors import JobFailedError, UnreachableError, WaitTimeoutError
from netwright.resources.events import Event, read_events
from netwright.training_bar import TrainingBar
from tests.netwright.fake_server import TRAINED, FakeServer, events, job, problem

FAMILY = """
num_classes = 10
image_channels = 1
stem_width = 4
[[stages]]
width = 8
stride = 2
"""
RECIPE = """
name = "mine"
steps = 40
batch_size = 8
sampler = {kind = "uniform"}
"""


def run(line: str) -> Result:
    return CliRunner().invoke(app, line.split(), env={"COLUMNS": "300"})


# --- what is sent ----------------------------------------------------------------------------------


def test_files_are_read_here_and_sent_as_values(client: Client, server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "family.toml").write_text(FAMILY)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    result = run(
        f"supernets train mine --data digits --family {tmp_path}/family.toml --recipe {tmp_path}/recipe.toml "
        f"--seed 3 --detach"
    )
    assert result.exit_code == 0, result.output
    assert "netwright jobs watch job_train" in result.stdout
    assert server.sent("/v1/trainings") == {
        "name": "mine",
        "data": "digits",
        # its classes and channels are those of the data
        "family": {"family": "mobilenet_v3", "stem_width": 4, "stages": [{"width": 8, "stride": 2}]},
        "recipe": {"name": "mine", "steps": 40, "batch_size": 8, "sampler": {"kind": "uniform"}},
        "seed": 3,
    }


def test_what_is_not_given_is_left_to_the_server(client: Client, server: FakeServer) -> None:
    run("supernets train mine --from digits --teacher big --recipe random --steps 9 --detach")
    assert server.sent("/v1/trainings") == {
        "name": "mine",
        "recipe": "random",
        "steps": 9,
        "source": "digits",
        "teacher": "big",
    }
    run("supernets train mine --from digits --dry-run")
    assert server.sent("/v1/trainings:estimate") == {"name": "mine", "source": "digits"}


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("option", ["--family", "--recipe"])
def test_a_file_that_cannot_be_read_is_explained(option: str, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("a = ")
    for name in ("bad", "absent"):
        result = run(f"supernets train mine --data digits {option} {tmp_path}/{name}.toml")
        assert result.exit_code == 1
        assert f"{option} must be a name or a TOML file" in result.stderr


def test_what_the_server_refuses_is_shown(client: Client, server: FakeServer) -> None:
    server.routes["POST", "/v1/trainings"] = problem(
        422,
        "invalid_request",
        "source: there is no supernet 'x'",
        errors=[{"field": "source", "got": "x", "allowed": ["digits"]}],
    )
    result = run("supernets train mine --from x")
    assert result.exit_code == 1
    assert "there is no supernet 'x'" in result.stderr


# --- what is shown ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("client")
def test_a_dry_run_says_space_cost_and_memory() -> None:
    shown = run("supernets train mine --data digits --family digits --dry-run").stdout
    for words in (
        "1,077 training images, 10 classes",
        "7.99e+05 subnets, 1,000 to 9,000 parameters, 0.1 to 2 million MACs",
        "sandwich: 100 steps of 64 images, seed 0",
        "500 subnet passes, 0.3 billion MACs a step",
        "about 41 MB",
    ):
        assert words in shown


def test_a_dry_run_of_data_that_are_not_known_yet(client: Client, server: FakeServer) -> None:
    told = server.routes["POST", "/v1/trainings:estimate"]
    gaps = {"data": "hub:imagenet", "memory_mb": None, "train_images": None, "classes": None, "networks": 4}
    server.routes["POST", "/v1/trainings:estimate"] = {**told, **gaps}
    shown = run("supernets train mine --data hub:imagenet --family digits --dry-run").stdout
    assert "hub:imagenet: known once loaded" in shown and "not known before the data are loaded" in shown
    assert "in the end 4 networks" in shown


@pytest.mark.usefixtures("client")
def test_a_finished_training_is_its_supernets_card() -> None:
    result = run("supernets train mine --data digits --family digits")
    assert result.exit_code == 0 and "sup_1" in result.stdout
    told = json.loads(run("supernets train mine --data digits --family digits --json").stdout)
    assert (told["job"]["id"], told["supernet"]["id"]) == ("job_train", "sup_1")


def drawn(told: list[tuple[str, dict[str, Any]]]) -> list[Mapping[str, Any]]:
    shown: list[Mapping[str, Any]] = []
    draw = TrainingBar(lambda job: shown.append(dict(job)))
    for id, (kind, data) in enumerate(told):
        draw(Event(id, kind, data))
    return shown


def test_the_bar_shows_epoch_losses_accuracies_speed_and_time_left() -> None:
    shown = drawn(TRAINED)
    assert [each.get("message") for each in shown] == [
        "running",
        "training mine for 40 steps",
        "epoch 0.1 | loss max 2.100 min 2.250 | accuracy smallest 0.250 largest 0.500 | 12.0 passes/s",
        "epoch 0.2 | loss max 1.900 min 2.000 | accuracy smallest 0.250 largest 0.500",
        "epoch 0.2 | loss max 1.900 min 2.000 | accuracy smallest 0.250 largest 0.500",
        "report card 3 of 9",
        "succeeded",
    ]
    assert [(each.get("progress") or {}).get("eta_s") for each in shown] == [
        None,
        None,
        7.0,
        3.0,
        3.0,
        0.0,
        0.0,
    ]
    assert shown[3]["progress"] == {"done": 30, "total": 40, "eta_s": 3.0}


def test_an_older_servers_metrics_are_drawn_without_what_they_lack() -> None:
    [shown] = drawn([("progress", {"done": 1, "total": 2, "metrics": {"losses": {"max": 1.0}}})])
    assert shown["message"] == "loss max 1.000"


# --- waiting by events -----------------------------------------------------------------------------


def test_events_are_read_line_by_line() -> None:
    lines = [": keep-alive", "", "id: 7", "event: log", 'data: {"line": "a: b"}', "", "id: 8", "event: log"]
    assert list(read_events(lines)) == [Event(7, "log", {"line": "a: b"})]


def test_the_events_of_a_job(client: Client) -> None:
    told = list(client.jobs.get("job_train").events(after=4))
    assert [(event.id, event.type) for event in told] == [(5, "log"), (6, "progress"), (7, "state")]


def test_a_stream_that_breaks_is_gone_on_with(client: Client, server: FakeServer) -> None:
    asked: list[str] = []
    whole = events(TRAINED)

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params["after"])
        if len(asked) == 1:
            return events(TRAINED[:3])(request)
        if len(asked) == 2:
            raise httpx.ReadError("gone")
        return whole(request)

    server.routes["GET", "/v1/jobs/job_train/events"] = answer
    states = iter(["running", "succeeded"])
    resource = {"type": "supernet", "id": "sup_1"}
    waited = client.jobs.get("job_train")
    server.routes["GET", "/v1/jobs/job_train"] = lambda _: httpx.Response(
        200, json=job(next(states), id="job_train", kind="train", resource=resource)
    )
    assert waited.wait(progress=True).state == "succeeded"
    assert asked == ["0", "3", "3"]


def test_a_server_that_stays_away_is_given_up_on(
    client: Client, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netwright.resources.jobs.PATIENCE_S", 0.01)
    waited = client.jobs.get("job_train")
    server.routes["GET", "/v1/jobs/job_train/events"] = _gone
    with pytest.raises(UnreachableError):
        waited.wait(progress=True)


def _gone(_: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("gone")


def test_a_wait_by_events_that_is_too_short(client: Client, server: FakeServer) -> None:
    server.routes["GET", "/v1/jobs/job_train"] = job("running", id="job_train", kind="train")
    server.routes["GET", "/v1/jobs/job_train/events"] = events(TRAINED[:3])
    with pytest.raises(WaitTimeoutError, match=r"is running after 0\.05 s"):
        client.jobs.get("job_train").wait(0.05, progress=True)


def test_a_training_that_failed_says_why(client: Client, server: FakeServer) -> None:
    """The log is for what nobody foresaw."""
    error, log = {"code": "training_failed", "message": "the loss is nan"}, ["Traceback: in line 7"]
    failed = job("failed", id="job_train", kind="train", error=error, log=log)
    server.routes["GET", "/v1/jobs/job_train"] = failed
    with pytest.raises(JobFailedError, match="the loss is nan"):
        client.jobs.get("job_train").wait(progress=True)
    result = run("supernets train mine --data digits --family digits")
    assert result.exit_code == 4 and "Traceback" not in result.stderr
    failed["error"]["code"] = "internal"
    assert "Traceback: in line 7" in run("supernets train mine --data digits --family digits").stderr


@pytest.mark.parametrize(
    ("line", "id"), [("supernets train mine --from digits", "job_train"), ("jobs watch job_1", "job_1")]
)
def test_ctrl_c_says_how_to_go_on(
    client: Client, server: FakeServer, line: str, id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: httpx.Request) -> httpx.Response:
        raise KeyboardInterrupt

    server.routes["GET", "/v1/jobs/job_train/events"] = stop
    server.routes["GET", "/v1/jobs/job_1"] = job("running")
    monkeypatch.setattr("netwright.resources.jobs.time.sleep", lambda _: stop(None))
    result = run(line)
    assert result.exit_code == 130
    assert f"netwright jobs watch {id}" in result.stderr and f"netwright jobs cancel {id}" in result.stderr


def test_the_client_sends_every_argument(client: Client, server: FakeServer) -> None:
    given: dict[str, Any] = {
        "data": "stream:shards",
        "family": {"family": "mobilenet_v3"},
        "recipe": {"name": "x"},
        "steps": 5,
        "seed": 0,
        "source": "digits",
        "teacher": "big",
    }
    assert client.trainings.create("mine", **given)["kind"] == "train"
    assert server.sent("/v1/trainings") == {"name": "mine", **given}
    assert client.trainings.estimate(**given)["passes"] == 500
    assert server.sent("/v1/trainings:estimate") == given
