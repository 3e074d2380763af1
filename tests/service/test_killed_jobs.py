"""Every kind of job: parked with the reason where its process is killed from outside, then resumed and cancelled."""

import base64
import os
import signal
import time
from pathlib import Path

import pytest

from service.jobs import JOBS
from service.runtime import job_queries
from supernets.recipes.recipe import Recipe
from tests.pretrained.test_pretrained import write
from tests.service.house import House
from tests.service.rows import insert_fitted
from tests.service.test_conversions import exported, network, sent
from tests.service.test_training_job import FAMILY
from tests.small import small_texts


def requests(supernet, target, table, subnet, arch, network):
    """A request for each kind of job, as a path and a body; a new kind needs a line here."""
    space = supernet["id"]
    lines = (",".join([*arch, "ms"]), ",".join([*map(str, arch.values()), "1.0"]))
    rows = {"latency": "ms", "file": {"content": base64.b64encode("\n".join(lines).encode()).decode()}}
    recipe = {**Recipe.read("random").as_json(), "steps": 2, "schedule": {}}
    return {
        "train": (
            "/v1/trainings",
            {"name": "trained", "data": "digits", "family": FAMILY, "recipe": recipe},
        ),
        "convert": ("/v1/conversions", sent(network, name="converted", steps=2)),
        "convert_pretrained": (
            "/v1/conversions:pretrained",
            {"name": "pretrained", "folder": "hf", "data": "text:texts.parquet", "sequence": 16},
        ),
        "finetune": (f"/v1/subnets/{subnet}/finetunes", {"steps": 2}),
        "measure": (f"/v1/targets/{target['id']}/measurements", {"supernet": space, "count": 2}),
        "import": (f"/v1/targets/{table['id']}/measurements", {"supernet": space, "table": rows}),
        "evaluate": (f"/v1/supernets/{space}/evaluations", {"count": 2}),
        "fit": ("/v1/predictors", {"supernet": space, "metric": "accuracy"}),
        "search": (
            "/v1/searches",
            {"supernet": space, "targets": [target["id"]], "budget": {"evaluations": 4}},
        ),
        "export": (f"/v1/subnets/{subnet}/exports", {"format": "onnx"}),
    }


def kill_children(pid):
    """Kill the processes that do the work of a worker, with a signal that they cannot catch."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and b"supernets.child" in (entry / "cmdline").read_bytes():
                os.kill(int(entry.name), signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            continue


@pytest.fixture
def worker(settings, tmp_path):
    house = House(settings, tmp_path, NETWRIGHT_IMPORT_DIR=str(settings.import_dir))
    yield house.start("worker")
    house.close()


def test_every_kind_of_job_is_parked_when_its_process_is_killed_twice_and_can_be_resumed_and_cancelled(
    client, database, settings, worker, supernet, target, measured, tmp_path
):
    insert_fitted(database, client.app.state.services.store, supernet["id"], target["id"])
    table = client.post(
        "/v1/targets", json={"kind": "table", "name": "phone", "settings": {"device": "p"}}
    ).json()
    largest = client.get(f"/v1/supernets/{supernet['id']}/space").json()["largest"]
    write(settings.import_dir / "hf", "bert")
    small_texts(settings.import_dir)
    asked = requests(
        supernet,
        target,
        table,
        sorted(measured.values())[0],
        largest,
        exported(tmp_path / "mine.pt2", network()),
    )
    assert set(asked) == set(JOBS), "each kind of job needs a request in this test"
    for kind, (path, body) in asked.items():
        answer = client.post(path, json=body)
        assert answer.status_code == 202, (kind, answer.text)
        job = answer.json()["job"]["id"]
        deadline = time.monotonic() + 240
        state = "queued"
        while state not in job_queries.FINAL and time.monotonic() < deadline:
            kill_children(worker.pid)
            time.sleep(0.05)
            state = client.get(f"/v1/jobs/{job}").json()["state"]
        shown = client.get(f"/v1/jobs/{job}").json()
        assert (shown["state"], shown["error"] and shown["error"]["code"]) == ("failed", "parked"), (
            kind,
            shown,
        )
        assert "killed from outside 2 times" in shown["error"]["message"], (kind, shown)
        assert f"POST /v1/jobs/{job}:resume" in shown["error"]["message"]
        assert client.post(f"/v1/jobs/{job}:resume").status_code == 202
        _until(client, job, {"running"})
        assert client.post(f"/v1/jobs/{job}:cancel").status_code == 202, kind
        _until(client, job, {"cancelled"})
        assert worker.poll() is None, kind


def _until(client, job, states):
    deadline = time.monotonic() + 120
    while (state := client.get(f"/v1/jobs/{job}").json()["state"]) not in states:
        assert time.monotonic() < deadline, (job, state)
        time.sleep(0.02)
