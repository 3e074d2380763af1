"""Trainings by real processes: what they tell while they run, how they are stopped, and why they fail."""

import json
import time

import pytest

from supernets.recipes.recipe import Recipe
from tests.service.test_search_job import done, follow, http, job_of, processes  # noqa: F401
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
    events = follow(http, job, lambda kind, data: bool((data.get("metrics") or {}).get("quality")))
    metrics = events[-1][1]["metrics"]
    assert metrics["quality"].keys() == {"smallest", "largest"}
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


def test_a_training_goes_on_from_a_supernet_taught_by_one_cancelled_and_resumed(
    http,  # noqa: F811
    processes,  # noqa: F811
    settings,
):
    processes("worker")
    unsized = {key: value for key, value in FAMILY.items() if key not in ("num_classes", "image_channels")}
    body = {"name": "one", "data": "digits", "family": unsized, "recipe": recipe(steps=20)}
    one = done(http, http.post("/v1/trainings", json=body))
    assert len(one["classes"]) == 10 and one["training"]["steps"] == 20

    taught = recipe(
        name="taught", steps=1500, sampler={"kind": "uniform", "teacher": True}, teacher="external"
    )
    body = {"name": "two", "source": "one", "teacher": one["id"], "recipe": taught}
    answer = http.post("/v1/trainings", json=body)
    job = job_of(http, answer)
    follow(http, job, lambda kind, data: bool(data.get("metrics")))
    state = settings.home / "trainings" / job / "training.json"
    wait_for(state.is_file, "checkpoint")
    assert http.post(f"/v1/jobs/{job}:cancel").status_code == 202
    wait_for(lambda: http.get(f"/v1/jobs/{job}").json()["state"] == "cancelled", "end of the job", 60)
    kept = json.loads(state.read_text())["step"]
    assert http.post(f"/v1/jobs/{job}:resume").status_code == 202
    events = follow(http, job)
    shown = http.get(f"/v1/jobs/{job}").json()
    assert shown["state"] == "succeeded", (shown["error"], shown["log"][-15:])
    told = [data["metrics"] for _, data in events if data.get("metrics")]
    assert {metrics["stage"] for metrics in told} == {2}
    assert told[-1]["epoch"] == pytest.approx(told[-1]["step"] * 8 / 1077, abs=1e-3)

    two = http.get(shown["resource"]["href"]).json()
    first, second = two["training"]["stages"]
    assert first == one["training"]["stages"][0]
    assert second["source"]["sha256"] == second["teacher"]["sha256"] == one["weights_sha256"]
    assert (second["steps"], second["seed"], second["data"]["name"]) == (1500, 1, "digits")
    assert second["billed_passes"] == pytest.approx(1500 * (1 + 1 / 3), abs=0.01)
    assert second["sittings"][-1]["first_step"] >= kept
    accuracy = [each["report"]["summary"]["validation"]["largest"]["value"] for each in (one, two)]
    assert accuracy[1] > accuracy[0]
