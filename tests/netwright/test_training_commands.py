"""``netwright supernets train``, its bar, and waiting by events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from netwright import Client
from netwright.cli import app
from netwright.client.jobs import Event, read_events
from netwright.errors import UnreachableError, WaitTimeoutError
from netwright.progress import Shown, TrainingBar
from service.db.tables import Job
from service.runtime import job_queries
from tests.netwright.house import House

Ids = dict[str, str]
METRICS = {
    "epoch": 0.15,
    "losses": {"max": 2.1, "min": 2.25},
    "quality": {"smallest": 0.25, "largest": 0.5},
    "metric": "accuracy",
    "passes_per_second": 12.0,
    "eta_s": 7.0,
}
LATER = {"metric": "accuracy", "epoch": 0.22, "losses": {"max": 1.9, "min": 2.0}, "eta_s": 3.0}
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


def test_local_files_are_sent_as_values(house: House, tmp_path: Path) -> None:
    (tmp_path / "family.toml").write_text(FAMILY)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    run(
        f"supernets train mine --data digits --family {tmp_path}/family.toml --recipe {tmp_path}/recipe.toml "
        f"--seed 3 --detach"
    )
    assert house.sent("/v1/trainings") == {
        "name": "mine",
        "data": "digits",
        # its classes and channels are those of the data
        "family": {"family": "mobilenet_v3", "stem_width": 4, "stages": [{"width": 8, "stride": 2}]},
        "recipe": {"name": "mine", "steps": 40, "batch_size": 8, "sampler": {"kind": "uniform"}},
        "seed": 3,
    }


def test_options_that_are_not_set_are_left_to_the_server(house: House) -> None:
    result = run("supernets train mine --from digits --recipe random --steps 9 --detach")
    assert result.exit_code == 0 and "netwright jobs watch job_" in result.stdout
    assert house.sent("/v1/trainings") == {
        "name": "mine",
        "recipe": "random",
        "steps": 9,
        "source": "digits",
    }
    assert run("supernets train mine --from digits --dry-run").exit_code == 0
    assert house.sent("/v1/trainings:estimate") == {"name": "mine", "source": "digits"}


@pytest.mark.usefixtures("house")
@pytest.mark.parametrize("option", ["--family", "--recipe"])
def test_a_file_that_cannot_be_read_is_explained(option: str, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("a = ")
    for name in ("bad", "absent"):
        result = run(f"supernets train mine --data digits {option} {tmp_path}/{name}.toml")
        assert result.exit_code == 1
        assert f"{option} must be a name or a TOML file" in result.stderr


def test_a_refusal_is_shown(house: House) -> None:
    result = run("supernets train mine --from nothing")
    assert result.exit_code == 1 and result.stderr.count("nothing") == 1
    result = run("supernets train mine --from digits --teacher digits --recipe random")
    assert "uses a teacher" in result.stderr and "got 'digits'" in result.stderr


def test_a_dry_run_shows_space_cost_and_memory(house: House) -> None:
    shown = run("supernets train mine --data digits --family digits --dry-run").stdout
    for words in (
        "1,077 training images, 10 classes",
        "6.87e+07 subnets",
        "steps of",
        "subnet passes",
        " MB for",
    ):
        assert words in shown


def test_a_finished_training_shows_its_supernet(house: House, ids: Ids) -> None:
    result = run("supernets train mine --data digits --family digits")
    assert result.exit_code == 0 and ids["supernet"] in result.stdout
    told = json.loads(run("supernets train other --data digits --family digits --json").stdout)
    assert (told["job"]["kind"], told["supernet"]["id"]) == ("train", ids["supernet"])


def drawn(events: list[tuple[str, dict[str, Any]]]) -> list[Shown]:
    shown: list[Shown] = []
    draw = TrainingBar(shown.append)
    for type, data in events:
        draw(type, data)
    return shown


def test_the_bar_shows_epoch_losses_quality_speed_and_time_left() -> None:
    shown = drawn(
        [
            ("state", {"state": "running"}),
            ("progress", {"done": 0, "total": 40, "eta_s": None, "message": "training mine for 40 steps"}),
            ("progress", {"done": 20, "total": 40, "eta_s": 9.0, "message": "loss", "metrics": METRICS}),
            ("progress", {"done": 30, "total": 40, "eta_s": 4.0, "message": "loss", "metrics": LATER}),
            ("log", {"line": "a line"}),
            ("progress", {"done": 40, "total": 40, "eta_s": 0.0, "message": "report card 3 of 9"}),
            ("state", {"state": "succeeded"}),
        ]
    )
    assert [each.message for each in shown][:2] == ["running", "training mine for 40 steps"]
    assert shown[2].message.startswith("epoch 0.1 | loss max 2.100 min 2.250 | ")
    assert shown[2].message.endswith("accuracy smallest 0.250 largest 0.500 | 12.0 passes/s")
    assert shown[3].message.endswith("accuracy smallest 0.250 largest 0.500"), (
        "seldom evaluated, it stays in sight"
    )
    assert shown[4] == shown[3]
    assert [each.eta_s for each in shown] == [None, None, 7.0, 3.0, 3.0, 0.0, None]
    assert (shown[3].done, shown[3].total) == (30, 40)


def test_metrics_that_a_server_does_not_send_are_left_out() -> None:
    [shown] = drawn([("progress", {"done": 1, "total": 2, "metrics": {"losses": {"max": 1.0}}})])
    assert shown.message == "loss max 1.000"


# --- waiting by events -----------------------------------------------------------------------------


def test_events_are_read_line_by_line() -> None:
    lines = [": keep-alive", "", "id: 7", "event: log", 'data: {"line": "a: b"}', "", "id: 8", "event: log"]
    assert list(read_events(lines)) == [Event(7, "log", {"line": "a: b"})]


@pytest.fixture
def training(house: House) -> str:
    """A finished training with the events of one."""
    job = house.job("running", kind="train")
    with house.database.write() as session:
        job_queries.set_progress(session, job, 20, 40, 9.0, "training", METRICS)
        job_queries.add_log(session, job, ["a line"])
        job_queries.set_state(session, session.get_one(Job, job), "succeeded")
    return job


def test_the_events_of_a_job(client: Client, training: str) -> None:
    events = list(client.jobs.get(training).events())
    assert [event.type for event in events] == ["state", "state", "progress", "log", "state"]
    assert [event.id for event in client.jobs.get(training).events(after=events[2].id)] == [
        events[3].id,
        events[4].id,
    ]
    assert client.jobs.get(training).wait(progress=True).state == "succeeded"


def test_a_broken_stream_is_continued(client: Client, house: House, training: str) -> None:
    streams: list[str] = []

    def breaks(request: httpx.Request) -> None:
        if request.url.path.endswith("/events"):
            streams.append(request.url.params["after"])
            if len(streams) < 3:
                raise httpx.ReadError("gone")

    waited = client.jobs.get(training)
    house.before.append(breaks)
    assert waited.wait(progress=True).state == "succeeded"
    assert streams == ["0", "0", "0"]


def test_a_server_that_stays_away_ends_the_wait(
    client: Client, house: House, training: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netwright.client.jobs.PATIENCE_S", 0.01)
    waited = client.jobs.get(training)

    def away(_: httpx.Request) -> None:
        raise httpx.ConnectError("gone")

    house.before.append(away)
    with pytest.raises(UnreachableError):
        waited.wait(progress=True)


def test_a_wait_by_events_that_is_too_short(
    client: Client, house: House, training: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.change(Job, training, state="running")
    monkeypatch.setattr("netwright.client.jobs.Job.events", lambda *_: iter(()))
    with pytest.raises(WaitTimeoutError, match=r"is running after 0\.05 s"):
        client.jobs.get(training).wait(0.05, progress=True)


def test_a_licence_is_refused_before_the_training(tmp_path: Path) -> None:
    result = run(f"train random --out {tmp_path / 'x'} --family digits --data digits --licence {'M' * 201}")
    assert result.exit_code == 1 and "--licence must have 1 to" in result.stderr
    assert not (tmp_path / "x").exists()


def test_a_file_that_is_no_predictor_is_named(tmp_path: Path) -> None:
    file = tmp_path / "latency.npz"
    file.write_bytes(b"PK\x03\x04 and nothing else")
    result = run(
        f"train hesso --from zoo/digits --out {tmp_path / 'x'} --keep latency_ms=0.5 --predictor {file} --dry-run"
    )
    assert result.exit_code == 1
    assert f"of a predictor of zoo/digits, got {file}: not a saved predictor" in result.stderr
