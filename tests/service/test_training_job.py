"""Trainings by real processes: what they tell while they run, how they are stopped, and why they fail."""

import json
import time

import pytest

from supernets.recipes.recipe import Recipe
from tests.service.test_search_job import follow, http, job_of, processes  # noqa: F401
from tests.small import SMALL

pytestmark = pytest.mark.timeout(900)
FAMILY = {"family": "mobilenet_v3", **SMALL}


def recipe(**changes):
    return {**Recipe.read("random").as_json(), "steps": 4000, "batch_size": 8, "schedule": {}, **changes}


def wait_for(condition, what, seconds=300):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"no {what} within {seconds} s"
        time.sleep(0.1)


def test_a_training_tells_live_metrics_and_stops_within_seconds_with_its_checkpoint(
    http,  # noqa: F811
    processes,  # noqa: F811
    settings,
):
    processes("worker")
    body = {"name": "tiny", "data": "digits", "family": FAMILY, "recipe": recipe()}
    job = job_of(http, http.post("/v1/trainings", json=body))
    events = follow(http, job, lambda kind, data: bool((data.get("metrics") or {}).get("accuracy")))
    metrics = events[-1][1]["metrics"]
    assert metrics["accuracy"].keys() == {"smallest", "largest"}
    assert metrics["losses"].keys() == {"random1"} and metrics["losses"]["random1"] > 0
    assert metrics["passes_per_second"] > 0 and metrics["eta_s"] > 0 and metrics["lr"] > 0
    assert "passes/s" in http.get(f"/v1/jobs/{job}").json()["message"]

    state = settings.home / "trainings" / job / "training.json"
    wait_for(state.is_file, "checkpoint")
    assert http.post(f"/v1/jobs/{job}:cancel").status_code == 202
    wait_for(lambda: http.get(f"/v1/jobs/{job}").json()["state"] == "cancelled", "end of the job", 60)
    kept = json.loads(state.read_text())
    assert (state.parent / kept["file"]).is_file() and 0 < kept["step"] < 4000
    time.sleep(1.0)
    assert json.loads(state.read_text())["step"] == kept["step"]  # nothing trains any more

    assert http.post(f"/v1/jobs/{job}:resume").status_code == 202
    runs = []

    def further(kind, data):
        if (kind, data.get("state")) == ("state", "running"):
            runs.append(data)
        return len(runs) == 2 and (data.get("metrics") or {}).get("step", 0) > kept["step"]

    again = follow(http, job, further)
    steps = [
        data["metrics"]["step"] for _, data in again[again.index(("state", runs[1])) :] if data.get("metrics")
    ]
    assert min(steps) > kept["step"]  # it went on from the checkpoint, not from the start
    assert again[-1][1]["metrics"]["step"] > kept["step"]
    http.post(f"/v1/jobs/{job}:cancel")

    wild = recipe(optimizer={"lr": 1e30}, steps=50)
    job = job_of(http, http.post("/v1/trainings", json=body | {"name": "wild", "recipe": wild}))
    follow(http, job)
    shown = http.get(f"/v1/jobs/{job}").json()
    assert (shown["state"], shown["error"]["code"]) == ("failed", "training_failed")
    assert "loss of item 'random1' is nan" in shown["error"]["message"]
    assert "the input of layer 'blocks." in shown["error"]["message"]
